#include "worker/models/vision/patch_places.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

namespace proctor {
namespace {

TEST(PatchPlaces, come_cell_by_cell) {
  std::vector<std::pair<std::int64_t, std::int64_t>> places;
  for (const PatchPlace& place : places_of({2, 4}, 2)) places.emplace_back(place.row, place.column);
  EXPECT_EQ(places, (std::vector<std::pair<std::int64_t, std::int64_t>>{
                        {0, 0}, {0, 1}, {1, 0}, {1, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}}));
}

TEST(PatchPlaces, windows_are_ragged_at_the_right_and_lower_edge) {
  const Windows windows = windows_of({6, 10}, 2, 2);  // 3 x 5 cells
  EXPECT_EQ(windows.cells, (std::vector<std::int64_t>{0, 1, 5, 6, 2, 3, 7, 8, 4, 9, 10, 11, 12, 13, 14}));
  EXPECT_EQ(windows.lengths, (std::vector<std::int64_t>{16, 16, 8, 8, 8, 4}));
}

TEST(PatchPlaces, windows_have_every_cell_once) {
  for (const PatchGrid grid : {PatchGrid{2, 2}, PatchGrid{2, 40}, PatchGrid{34, 18}}) {
    const Windows windows = windows_of(grid, 2, 4);
    EXPECT_EQ(std::set(windows.cells.begin(), windows.cells.end()).size(), windows.cells.size());
    EXPECT_EQ(static_cast<std::int64_t>(windows.cells.size()) * 4, grid.patches());
    EXPECT_EQ(std::reduce(windows.lengths.begin(), windows.lengths.end()), grid.patches());
  }
}

}  // namespace
}  // namespace proctor
