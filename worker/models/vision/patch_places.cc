#include "worker/models/vision/patch_places.h"

#include <algorithm>

namespace proctor {

std::vector<PatchPlace> places_of(const PatchGrid& grid, std::int64_t merge) {
  std::vector<PatchPlace> places;
  places.reserve(static_cast<std::size_t>(grid.patches()));
  for (std::int64_t row = 0; row < grid.height; row += merge)
    for (std::int64_t column = 0; column < grid.width; column += merge)
      for (std::int64_t y = 0; y < merge; ++y)
        for (std::int64_t x = 0; x < merge; ++x) places.push_back({row + y, column + x});
  return places;
}

Windows windows_of(const PatchGrid& grid, std::int64_t merge, std::int64_t side) {
  const std::int64_t rows = grid.height / merge, columns = grid.width / merge;
  Windows windows;
  for (std::int64_t top = 0; top < rows; top += side)
    for (std::int64_t left = 0; left < columns; left += side) {
      const std::int64_t bottom = std::min(rows, top + side), right = std::min(columns, left + side);
      for (std::int64_t row = top; row < bottom; ++row)
        for (std::int64_t column = left; column < right; ++column) windows.cells.push_back(row * columns + column);
      windows.lengths.push_back((bottom - top) * (right - left) * merge * merge);
    }
  return windows;
}

}  // namespace proctor
