// Where a parameter comes from: which part of which tensor of the checkpoint, and how a gang cuts it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace proctor {

/// How a tensor-parallel gang cuts a tensor.
enum class Split { column, row, kv, vocabulary, replicate };

/// Where a part lies in its tensor; by default it is all of it.
struct PartOfTensor {
  std::vector<std::int64_t> shape;     ///< the file's; a dimension more than the part has: a part for each of its first
  std::int64_t index = 0;              ///< which of those
  std::int64_t first_row = 0;          ///< of the part
  std::int64_t block = 0, stride = 0;  ///< rows that lie together, and from their first to the next ones'; 0: all do
  bool transposed = false;             ///< the file has [columns, rows]
  bool scalar = false;                 ///< the file has one number, of no dimension
  bool flattened = false;              ///< the part's rows are the file's, whatever dimensions those have
};

/// A part of the checkpoint's `tensor`, by default all of it, goes to rows [row, row + rows) of `parameter`.
struct WeightSource {
  std::string parameter, tensor;
  std::int64_t row = 0;
  std::vector<std::int64_t> shape;  ///< of the part before a gang cuts it, [rows] or [rows, columns]
  Split split = Split::replicate;
  PartOfTensor part = {};
  std::int64_t first_row = 0, rows = shape[0];  ///< of the part, what is read
  std::int64_t first_column = 0, columns = shape.size() > 1 ? shape[1] : 1;

  const std::vector<std::int64_t>& tensor_shape() const {
    return part.shape.empty() && !part.scalar ? shape : part.shape;
  }
  /// Elements from one row of the tensor (or of one of its matrices) to the next.
  std::int64_t row_width() const {
    if (shape.size() < 2) return 1;
    return part.flattened ? shape[1] : tensor_shape().back();
  }
  /// Of the tensor (or of one of its matrices) where row `r` of the part lies.
  std::int64_t tensor_row(std::int64_t r) const {
    return part.first_row + (part.block > 0 ? r / part.block * part.stride + r % part.block : r);
  }
};

/// A module parameter's shape in full (before any slicing).
struct ParameterShape {
  std::string name;
  std::vector<std::int64_t> shape;
};

}  // namespace proctor
