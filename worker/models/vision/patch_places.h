// Where the patches of one image lie, for towers that take whole images (Qwen2-VL and after): the order in which they
// come, the windows in which they attend each other, what their positions are. Includes no torch.
#pragma once

#include <cstdint>
#include <vector>

namespace proctor {

/// Patches of an image, merge x merge of them together: cell by cell, row by row in a cell.
struct PatchGrid {
  std::int64_t height = 0, width = 0;  ///< patches; multiples of merge
  std::int64_t patches() const { return height * width; }
};

struct PatchPlace {
  std::int64_t row = 0, column = 0;
};
/// Of each patch, in the order in which they come.
std::vector<PatchPlace> places_of(const PatchGrid& grid, std::int64_t merge);

/// The cells of an image, window by window.
struct Windows {
  std::vector<std::int64_t> cells;    ///< which cell comes at each place
  std::vector<std::int64_t> lengths;  ///< patches of each window
};
/// side: of a window, cells; those at the right and lower edge are smaller.
Windows windows_of(const PatchGrid& grid, std::int64_t merge, std::int64_t side);

}  // namespace proctor
