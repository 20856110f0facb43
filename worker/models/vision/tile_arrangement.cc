#include "worker/models/vision/tile_arrangement.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/upsample_bilinear2d.h>

#include <cmath>

namespace proctor {
namespace {

/// [rows, columns, hidden] -> [to_rows, to_columns, hidden]
at::Tensor shrunk(const at::Tensor& x, std::int64_t to_rows, std::int64_t to_columns) {
  const at::Tensor image = x.permute({2, 0, 1}).unsqueeze(0).contiguous();
  return at::upsample_bilinear2d(image, {to_rows, to_columns}, /*align_corners=*/false).squeeze(0).permute({1, 2, 0});
}

}  // namespace

at::Tensor arrange_tiles(const at::Tensor& tiles, const ImageLayout& layout, const at::Tensor& newline) {
  const std::int64_t hidden = tiles.size(2);
  const at::Tensor line = newline.unsqueeze(0);
  if (layout.rows == 0) return at::cat({tiles[0], line});
  const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(tiles.size(1)))));
  at::Tensor x = tiles.slice(0, 1)
                     .view({layout.rows, layout.columns, side, side, hidden})
                     .permute({0, 2, 1, 3, 4})
                     .reshape({layout.rows * side, layout.columns * side, hidden});
  x = x.narrow(0, (x.size(0) - layout.kept_rows) / 2, layout.kept_rows)
          .narrow(1, (x.size(1) - layout.kept_columns) / 2, layout.kept_columns);
  if (layout.pooled_rows > 0 &&
      (layout.pooled_rows != layout.kept_rows || layout.pooled_columns != layout.kept_columns))
    x = shrunk(x, layout.pooled_rows, layout.pooled_columns);
  x = at::cat({x, newline.expand({x.size(0), 1, hidden})}, 1);
  return at::cat({tiles[0], x.flatten(0, 1)});
}

}  // namespace proctor
