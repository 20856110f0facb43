#include "worker/images/upright.h"

#include <algorithm>

namespace proctor {

Picture turned_upright(const Picture& picture, int orientation) {
  const bool swaps = orientation >= 5;
  const bool flips_rows = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool flips_columns = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  Picture upright(swaps ? picture.width : picture.height, swaps ? picture.height : picture.width);
  for (std::int64_t y = 0; y < upright.height; ++y)
    for (std::int64_t x = 0; x < upright.width; ++x) {
      const std::int64_t row = swaps ? x : y, column = swaps ? y : x;
      const std::uint8_t* from = picture.row(flips_rows ? picture.height - 1 - row : row) +
                                 3 * (flips_columns ? picture.width - 1 - column : column);
      std::copy_n(from, 3, upright.row(y) + 3 * x);
    }
  return upright;
}

}  // namespace proctor
