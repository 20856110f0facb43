#include "worker/images/resize.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "tests/worker/images/vision_goldens.h"
#include "worker/images/decode.h"

namespace proctor {
namespace {

using nlohmann::json;

Picture counting(std::int64_t height, std::int64_t width) {
  Picture picture(height, width);
  for (std::size_t i = 0; i < picture.rgb.size(); ++i) picture.rgb[i] = static_cast<std::uint8_t>(i * 37 + i / 3 * 91);
  return picture;
}

constexpr std::array kAllResizing = {Resizing::pillow, Resizing::aten_bytes, Resizing::aten_floats};

TEST(Resized, is_what_Pillow_and_torchvision_give) {
  const std::map<std::string, Resample> filters = {{"lanczos", Resample::lanczos},
                                                   {"bilinear", Resample::bilinear},
                                                   {"bicubic", Resample::bicubic},
                                                   {"box", Resample::box}};
  int compared = 0;
  for (const json& golden : vision_json("resize.json")) {
    const Picture picture = decode_image(vision_file("images/" + std::string(golden.at("image"))), false);
    for (const auto& [key, resizing] :
         {std::pair("pillow_sha256", Resizing::pillow), {"torchvision_uint8_sha256", Resizing::aten_bytes}}) {
      if (!golden.contains(key)) continue;
      const Picture out =
          resized(picture, golden.at("height"), golden.at("width"), filters.at(golden.at("filter")), resizing);
      EXPECT_EQ(sha256_of(out.rgb), golden.at(key)) << golden;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 162);
}

TEST(Resized, gives_back_a_picture_of_that_size_as_it_is) {
  const Picture picture = counting(5, 7);
  for (const Resizing resizing : kAllResizing)
    EXPECT_EQ(resized(picture, 5, 7, Resample::bicubic, resizing).rgb, picture.rgb);
}

TEST(Resized, leaves_one_color_as_it_is) {
  Picture picture(9, 31);
  for (std::size_t i = 0; i < picture.rgb.size(); ++i) picture.rgb[i] = static_cast<std::uint8_t>(i % 3 * 100 + 7);
  for (const Resizing resizing : kAllResizing)
    for (const auto& [height, width] : {std::pair(1, 1), {40, 3}, {2, 100}, {9, 32}}) {
      const Picture out = resized(picture, height, width, Resample::bicubic, resizing);
      ASSERT_EQ(out.rgb.size(), static_cast<std::size_t>(3 * height * width));
      for (std::size_t i = 0; i < out.rgb.size(); ++i) ASSERT_EQ(out.rgb[i], i % 3 * 100 + 7);
    }
}

/// Blocks of rows and stretches of bytes end where the picture does.
TEST(Resized, does_not_depend_on_what_lies_beside_a_row) {
  const Picture tall = counting(37, 41);
  Picture row(1, 41);
  for (std::int64_t y : {0, 15, 16, 36}) {
    std::copy_n(tall.row(y), 3 * 41, row.row(0));
    for (const Resizing resizing : kAllResizing) {
      const Picture all = resized(tall, 37, 23, Resample::bicubic, resizing),
                    one = resized(row, 1, 23, Resample::bicubic, resizing);
      EXPECT_TRUE(std::equal(one.rgb.begin(), one.rgb.end(), all.row(y))) << y;
    }
  }
}

TEST(Resized, picks_the_nearest_pixel_of_each_library) {
  Picture picture(1, 10);
  for (std::size_t i = 0; i < 10; ++i) picture.rgb[3 * i] = static_cast<std::uint8_t>(i);
  const auto picked = [&](std::int64_t width, Resizing resizing) {
    const Picture out = resized(picture, 1, width, Resample::nearest, resizing);
    std::vector<int> reds;
    for (std::int64_t x = 0; x < width; ++x) reds.push_back(out.rgb[static_cast<std::size_t>(3 * x)]);
    return reds;
  };
  EXPECT_EQ(picked(4, Resizing::pillow), (std::vector{1, 3, 6, 8}));
  EXPECT_EQ(picked(4, Resizing::aten_bytes), (std::vector{1, 3, 6, 8}));
  EXPECT_EQ(picked(205, Resizing::aten_bytes)[20], 1);  // 20.5 * 10 / 205, which other roundings put below 1
}

}  // namespace
}  // namespace proctor
