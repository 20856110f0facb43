// A module's parameters, read straight into their final (fused, sliced) buffers.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "worker/base/progress_unit.h"
#include "worker/checkpoint/safetensors.h"
#include "worker/checkpoint/weight_source.h"

namespace proctor {

class Weights {
 public:
  /// Reads every source's part; a unit is announced for each tensor and each 256 MiB. Throws InputError.
  Weights(const Checkpoint& checkpoint, const std::vector<ParameterShape>& parameters,
          const std::vector<WeightSource>& sources, const at::TensorOptions& options, const Announce& announce);

  const at::Tensor& at(const std::string& parameter) const { return tensors_.at(parameter); }
  /// Undefined where there is no such parameter (a bias that the model lacks).
  at::Tensor find(const std::string& parameter) const;
  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  void read(const Checkpoint& checkpoint, const WeightSource& source, const Announce& announce);

  std::unordered_map<std::string, at::Tensor> tensors_;
  std::uint64_t bytes_read_ = 0;
};

}  // namespace proctor
