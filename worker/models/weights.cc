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

/// Elements of the tensor that lie before element (row, column) of the source's part.
std::int64_t elements_before(const WeightSource& source, std::int64_t row, std::int64_t column) {
  const std::vector<std::int64_t>& shape = source.tensor_shape();
  std::int64_t before = 0;
  if (shape.size() > source.shape.size() && !source.part.flattened) {
    before = source.part.index;
    for (std::size_t i = 1; i < shape.size(); ++i) before *= shape[i];
  }
  const std::int64_t wide = source.row_width(), at = source.tensor_row(row);
  return before + (source.part.transposed ? column * wide + at : at * wide + column);
}

/// Rows [row, row + rows) of what the source reads, contiguous, into `out`.
void read_rows(const SafetensorsFile& file, const TensorEntry& entry, const WeightSource& source, std::int64_t row,
               std::int64_t rows, void* out) {
  const auto element = static_cast<std::int64_t>(dtype_bytes(entry.dtype));
  const bool whole_rows = source.columns == source.row_width();
  const std::int64_t block = source.part.block, bytes = source.columns * element;
  auto* to = static_cast<std::byte*>(out);
  for (std::int64_t r = source.first_row + row, end = r + rows, next = 0; r < end; r = next) {
    next = !whole_rows ? r + 1 : block > 0 ? std::min(end, (r / block + 1) * block) : end;
    const auto size = static_cast<std::uint64_t>((next - r) * bytes);
    const std::int64_t before = elements_before(source, r, source.first_column);
    file.read(entry.begin + static_cast<std::uint64_t>(before * element), size, to);
    to += size;
  }
}

/// All that the source reads, of a tensor that is transposed: [rows, columns], a view.
at::Tensor read_transposed(const SafetensorsFile& file, const TensorEntry& entry, const WeightSource& source,
                           at::ScalarType type) {
  const auto element = static_cast<std::int64_t>(dtype_bytes(entry.dtype));
  const std::int64_t first = source.tensor_row(source.first_row);
  const std::int64_t width = source.tensor_row(source.first_row + source.rows - 1) + 1 - first;
  const at::Tensor staging = at::empty({source.columns, width}, at::TensorOptions().dtype(type));
  auto* to = static_cast<std::byte*>(staging.data_ptr());
  for (std::int64_t column = 0; column < source.columns; ++column, to += width * element) {
    const std::int64_t before = elements_before(source, source.first_row, source.first_column + column);
    file.read(entry.begin + static_cast<std::uint64_t>(before * element), static_cast<std::uint64_t>(width * element),
              to);
  }
  const at::Tensor rows = staging.t();
  if (source.part.block == 0) return rows;
  PROCTOR_CHECK(source.part.block == 1, "rows of a transposed tensor lie together, or alone");
  return rows.slice(0, 0, width, source.part.stride);
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
  if (entry->shape != source.tensor_shape())
    throw InputError(file->path() + ": tensor " + source.tensor + " has another shape than config.json asks for");
  const at::ScalarType type = scalar_type(entry->dtype);
  const auto row_bytes = source.columns * static_cast<std::int64_t>(dtype_bytes(entry->dtype));
  if (source.rows * row_bytes == 0) return;
  bytes_read_ += static_cast<std::uint64_t>(source.rows * row_bytes);
  const at::Tensor target = tensors_.at(source.parameter).narrow(0, source.row, source.rows);
  if (source.part.transposed) {
    target.copy_(read_transposed(*file, *entry, source, type));
    return;
  }
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
