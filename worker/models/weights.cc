#include "worker/models/weights.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstddef>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr std::int64_t kStagingBytes =
    1 << 20;  // converted while it is in cache, and load holds one copy of the weights
constexpr std::int64_t kUnitBytes = 256 << 20;  // what a unit reads at most

at::ScalarType scalar_type(const std::string& dtype) {
  if (dtype == "F32") return at::kFloat;
  if (dtype == "BF16") return at::kBFloat16;
  if (dtype == "F16") return at::kHalf;
  throw InputError("weights of dtype " + dtype + " are not read (F32, BF16 and F16 are)");
}

/// Rows [row, row + rows) of a source's part, contiguous, into `out`. A column range is read row by row.
void read_rows(const SafetensorsFile& file, const TensorEntry& entry, const WeightSource& source, std::int64_t row,
               std::int64_t rows, void* out) {
  const auto element = static_cast<std::int64_t>(dtype_bytes(entry.dtype));
  const std::int64_t columns = source.shape.size() > 1 ? source.shape[1] : 1;
  const auto at = [&](std::int64_t r) {
    return entry.begin + static_cast<std::uint64_t>(((source.first_row + r) * columns + source.first_column) * element);
  };
  const auto bytes = static_cast<std::uint64_t>(source.columns * element);
  if (source.columns == columns) return file.read(at(row), static_cast<std::uint64_t>(rows) * bytes, out);
  for (std::int64_t r = 0; r < rows; ++r)
    file.read(at(row + r), bytes, static_cast<std::byte*>(out) + static_cast<std::uint64_t>(r) * bytes);
}

}  // namespace

Weights::Weights(const Checkpoint& checkpoint, const std::vector<ParameterShape>& parameters,
                 const std::vector<WeightSource>& sources, const at::TensorOptions& options, const Announce& announce) {
  for (const ParameterShape& parameter : parameters)
    tensors_.emplace(parameter.name, at::empty(parameter.shape, options));
  for (const WeightSource& source : sources) {
    announce("read " + source.tensor);
    read(checkpoint, source, announce);
  }
}

void Weights::read(const Checkpoint& checkpoint, const WeightSource& source, const Announce& announce) {
  const auto [file, entry] = checkpoint.find(source.tensor);
  if (entry->shape != source.shape)
    throw InputError(file->path() + ": tensor " + source.tensor + " has another shape than config.json asks for");
  const at::ScalarType type = scalar_type(entry->dtype);
  const auto row_bytes = source.columns * static_cast<std::int64_t>(dtype_bytes(entry->dtype));
  if (source.rows * row_bytes == 0) return;
  bytes_read_ += static_cast<std::uint64_t>(source.rows * row_bytes);
  const at::Tensor target = tensors_.at(source.parameter).narrow(0, source.row, source.rows);
  const bool direct = target.is_cpu() && target.scalar_type() == type;
  const std::int64_t rows_at_once = std::max<std::int64_t>(1, (direct ? kUnitBytes : kStagingBytes) / row_bytes);
  std::int64_t unannounced = 0;
  for (std::int64_t row = 0; row < source.rows; row += rows_at_once) {
    if (unannounced >= kUnitBytes) {
      announce("read " + source.tensor + " from row " + std::to_string(row));
      unannounced = 0;
    }
    const std::int64_t rows = std::min(rows_at_once, source.rows - row);
    const at::Tensor part = target.narrow(0, row, rows);
    unannounced += rows * row_bytes;
    if (direct) {
      read_rows(*file, *entry, source, row, rows, part.data_ptr());
      continue;
    }
    const at::Tensor staging = at::empty(part.sizes(), at::TensorOptions().dtype(type));
    read_rows(*file, *entry, source, row, rows, staging.data_ptr());
    part.copy_(staging);
  }
}

at::Tensor Weights::find(const std::string& parameter) const {
  const auto found = tensors_.find(parameter);
  return found == tensors_.end() ? at::Tensor() : found->second;
}

}  // namespace proctor
