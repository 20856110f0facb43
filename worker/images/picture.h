// A decoded image.
#pragma once

#include <cstdint>
#include <vector>

namespace proctor {

struct Picture {
  std::int64_t height = 0, width = 0;
  std::vector<std::uint8_t> rgb;  ///< [height, width, 3], row by row

  Picture() = default;
  /// Black. The sides are within read_image_header's or layout_of's limits.
  Picture(std::int64_t height, std::int64_t width)
      : height(height), width(width), rgb(static_cast<std::size_t>(height * width * 3)) {}

  std::uint8_t* row(std::int64_t y) { return rgb.data() + y * width * 3; }
  const std::uint8_t* row(std::int64_t y) const { return rgb.data() + y * width * 3; }
};

}  // namespace proctor
