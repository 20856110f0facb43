// Weight sources of a network whose linear layers and norms lie in the checkpoint under names of their own.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "worker/checkpoint/weight_source.h"

namespace proctor {

/// Parameters are NAME and NAME_bias, from tensors TENSOR.weight and TENSOR.bias.
class SourceList {
 public:
  void add(const std::string& parameter, const std::string& tensor, std::vector<std::int64_t> shape,
           Split split = Split::replicate, std::int64_t row = 0, PartOfTensor part = {}) {
    sources_.push_back({parameter, tensor, row, std::move(shape), split, std::move(part)});
  }

  /// Rows of a weight, and of its bias. part.shape: the whole weight's.
  void linear(const std::string& parameter, const std::string& tensor, std::int64_t rows, std::int64_t columns,
              bool bias, Split split, std::int64_t row = 0, const PartOfTensor& part = {}) {
    add(parameter, tensor + ".weight", {rows, columns}, split, row, part);
    if (!bias) return;
    PartOfTensor of_bias = part;
    if (!of_bias.shape.empty()) of_bias.shape.resize(1);
    add(parameter + "_bias", tensor + ".bias", {rows}, split == Split::row ? Split::replicate : split, row, of_bias);
  }

  void norm(const std::string& parameter, const std::string& tensor, std::int64_t width, bool bias) {
    add(parameter, tensor + ".weight", {width});
    if (bias) add(parameter + "_bias", tensor + ".bias", {width});
  }

  std::vector<WeightSource> taken() { return std::move(sources_); }

 private:
  std::vector<WeightSource> sources_;
};

}  // namespace proctor
