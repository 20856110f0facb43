#include "worker/weights.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "sharding/error.h"

namespace proctor {
namespace {

constexpr std::int64_t kStagingBytes = 16
                                       << 20;  // converted piece by piece, so that load holds one copy of the weights

at::ScalarType scalar_type(const std::string& dtype) {
  if (dtype == "F32") return at::kFloat;
  if (dtype == "BF16") return at::kBFloat16;
  if (dtype == "F16") return at::kHalf;
  throw InputError("weights of dtype " + dtype + " are not read (F32, BF16 and F16 are)");
}

}  // namespace

Weights::Weights(const Checkpoint& checkpoint, const std::vector<ParameterShape>& parameters,
                 const std::vector<WeightSource>& sources, const at::TensorOptions& options, const Announce& announce) {
  for (const ParameterShape& parameter : parameters)
    tensors_.emplace(parameter.name, at::empty(parameter.shape, options));
  for (const WeightSource& source : sources) {
    announce("read " + source.tensor);
    read(checkpoint, source);
  }
}

void Weights::read(const Checkpoint& checkpoint, const WeightSource& source) {
  const auto [file, entry] = checkpoint.find(source.tensor);
  if (entry->shape != source.shape)
    throw InputError(file->path() + ": tensor " + source.tensor + " has another shape than config.json asks for");
  const at::Tensor target = tensors_.at(source.parameter).narrow(0, source.row, source.shape[0]);
  const at::ScalarType type = scalar_type(entry->dtype);
  const std::uint64_t bytes = entry->end - entry->begin;
  bytes_read_ += bytes;
  if (bytes == 0) return;
  if (target.is_cpu() && target.scalar_type() == type) return file->read(entry->begin, bytes, target.data_ptr());
  const auto row_bytes = static_cast<std::int64_t>(bytes) / source.shape[0];
  const std::int64_t rows_at_once = std::max<std::int64_t>(1, kStagingBytes / row_bytes);
  for (std::int64_t row = 0; row < source.shape[0]; row += rows_at_once) {
    std::vector<std::int64_t> shape = source.shape;
    shape[0] = std::min(rows_at_once, source.shape[0] - row);
    const at::Tensor staging = at::empty(shape, at::TensorOptions().dtype(type));
    file->read(entry->begin + static_cast<std::uint64_t>(row * row_bytes),
               static_cast<std::uint64_t>(shape[0] * row_bytes), staging.data_ptr());
    target.narrow(0, row, shape[0]).copy_(staging);
  }
}

at::Tensor Weights::find(const std::string& parameter) const {
  const auto found = tensors_.find(parameter);
  return found == tensors_.end() ? at::Tensor() : found->second;
}

}  // namespace proctor
