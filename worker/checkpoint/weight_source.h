// Where a parameter comes from: which part of which tensor of the checkpoint, and how a gang cuts it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace proctor {

/// How a tensor-parallel gang cuts a tensor.
enum class Split { column, row, kv, vocabulary, replicate };

/// A part of the checkpoint's `tensor`, by default all of it, goes to rows [row, row + rows) of `parameter`.
struct WeightSource {
  std::string parameter, tensor;
  std::int64_t row = 0;
  std::vector<std::int64_t> shape;  ///< of the file's tensor, [rows] or [rows, columns]
  Split split = Split::replicate;
  std::int64_t first_row = 0, rows = shape[0];
  std::int64_t first_column = 0, columns = shape.size() > 1 ? shape[1] : 1;
};

/// A module parameter's shape in full (before any slicing).
struct ParameterShape {
  std::string name;
  std::vector<std::int64_t> shape;
};

}  // namespace proctor
