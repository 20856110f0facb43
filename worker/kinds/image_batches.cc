#include "worker/kinds/image_batches.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>

#include <cmath>

#include "worker/models/vision/tile_arrangement.h"

namespace proctor {
namespace {

/// [patches, values of a patch], float32, of tiles [tiles, 3, side, side] row by row; of a grid as it is.
at::Tensor patches_of(const ImageInput& image, const VisionConfig& config) {
  const auto count = static_cast<std::int64_t>(image.values.size());
  const at::Tensor values = at::from_blob(const_cast<float*>(image.values.data()), {count}, at::kFloat);
  if (config.grid == 0) return values.view({-1, config.patch_values()});
  const std::int64_t g = config.grid, p = config.patch;
  const auto side =
      static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(count / (3 * image.layout.tiles)))));
  return values.view({-1, 3, side, side})
      .narrow(2, 0, g * p)
      .narrow(3, 0, g * p)
      .reshape({-1, 3, g, p, g, p})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({-1, config.patch_values()});
}

std::vector<PatchGrid> grids_of(const ImageInput& image, const VisionConfig& config) {
  if (config.grid == 0) return {{image.layout.grid_height, image.layout.grid_width}};
  return std::vector<PatchGrid>(static_cast<std::size_t>(image.layout.tiles), {config.grid, config.grid});
}

/// Rows that a tile, or an image of a grid, comes to.
std::int64_t rows_of(const PatchGrid& grid, const VisionConfig& config) {
  return grid.patches() / (config.merge * config.merge) + (config.keeps_class_token ? 1 : 0);
}

at::Tensor arranged(const at::Tensor& rows, const ImageInput& image, const VisionTower& tower) {
  if (!tower.newline().defined()) return rows;
  return arrange_tiles(rows.unflatten(0, {image.layout.tiles, -1}), image.layout, tower.newline());
}

}  // namespace

ImageFeatures image_features(const VisionTower& tower, std::span<const ImageInput> images, std::int64_t max_patches,
                             const std::function<void(std::size_t first, std::size_t last)>& begin) {
  const VisionConfig& config = tower.config();
  std::vector<at::Tensor> rows;
  std::vector<std::vector<at::Tensor>> deep(config.deepstack.size());
  for (std::size_t first = 0, last = 0; first < images.size(); first = last) {
    std::int64_t patches = 0;
    std::vector<at::Tensor> values;
    std::vector<PatchGrid> grids;
    while (last < images.size() && (last == first || patches + images[last].layout.patches <= max_patches)) {
      patches += images[last].layout.patches;
      values.push_back(patches_of(images[last], config));
      for (const PatchGrid& grid : grids_of(images[last], config)) grids.push_back(grid);
      ++last;
    }
    begin(first, last);
    const VisionTower::Features features = tower.forward(at::cat(values), grids);
    std::int64_t row = 0;
    for (std::size_t image = first; image < last; ++image) {
      std::int64_t count = 0;
      for (const PatchGrid& grid : grids_of(images[image], config)) count += rows_of(grid, config);
      rows.push_back(arranged(features.rows.narrow(0, row, count), images[image], tower));
      for (std::size_t layer = 0; layer < deep.size(); ++layer)
        deep[layer].push_back(features.deep[layer].narrow(0, row, count));
      row += count;
    }
  }
  ImageFeatures all{at::cat(rows), {}};
  for (const std::vector<at::Tensor>& of_layer : deep) all.deep.push_back(at::cat(of_layer));
  return all;
}

}  // namespace proctor
