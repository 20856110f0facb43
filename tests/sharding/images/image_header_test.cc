#include "sharding/images/image_header.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <sstream>
#include <string>
#include <tuple>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using namespace std::string_view_literals;

std::string golden(const std::string& name) {
  std::ifstream stream(std::string(PROCTOR_SOURCE) + "/tests/data/goldens/vision/formats/" + name, std::ios::binary);
  std::ostringstream all;
  all << stream.rdbuf();
  return all.str();
}

std::string refusal_of(std::string_view bytes) {
  try {
    read_image_header(bytes);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::string big(std::uint32_t value, int count) {
  std::string bytes;
  for (int i = count - 1; i >= 0; --i) bytes += static_cast<char>(value >> 8 * i & 255);
  return bytes;
}

std::string png_of(std::uint32_t width, std::uint32_t height) {
  return "\x89PNG\r\n\x1A\n" + big(13, 4) + "IHDR" + big(width, 4) + big(height, 4);
}

TEST(ReadImageHeader, reads_sides_kind_and_orientation_of_every_format) {
  for (const auto& [name, kind, orientation] : {std::tuple("s2.jpg", ImageKind::jpeg, 1),
                                                {"progressive.jpg", ImageKind::jpeg, 1},
                                                {"cmyk.jpg", ImageKind::jpeg, 1},
                                                {"exif3.jpg", ImageKind::jpeg, 3},
                                                {"exif8.jpg", ImageKind::jpeg, 8},
                                                {"jpeg_named.png", ImageKind::jpeg, 1},
                                                {"truncated.jpg", ImageKind::jpeg, 1},
                                                {"rgb.png", ImageKind::png, 1},
                                                {"exif6.png", ImageKind::png, 6},
                                                {"animated.png", ImageKind::png, 1},
                                                {"lossy.webp", ImageKind::webp, 1},
                                                {"lossless.webp", ImageKind::webp, 1},
                                                {"alpha.webp", ImageKind::webp, 1},
                                                {"animated.webp", ImageKind::webp, 1},
                                                {"still.gif", ImageKind::gif, 1},
                                                {"animated.gif", ImageKind::gif, 1},
                                                {"rgb.bmp", ImageKind::bmp, 1}}) {
    const ImageHeader header = read_image_header(golden(name));
    EXPECT_EQ((std::tuple(header.height, header.width)), (std::tuple(23, 37))) << name;
    EXPECT_EQ(header.kind, kind) << name;
    EXPECT_EQ(header.orientation, orientation) << name;
    EXPECT_EQ(header.swaps_sides(), orientation >= 5) << name;
  }
}

TEST(ReadImageHeader, needs_no_more_than_the_beginning) {
  for (const char* name : {"s2.jpg", "rgb.png", "lossy.webp", "lossless.webp", "alpha.webp", "rgb.bmp"}) {
    const std::string whole = golden(name);
    std::size_t needed = whole.size();
    for (std::size_t length = 0; length < whole.size(); ++length)
      if (refusal_of(std::string_view(whole).substr(0, length)).empty()) needed = std::min(needed, length);
    EXPECT_LT(needed, std::size_t{200}) << name;
    for (std::size_t length = 12; length < needed; ++length)
      EXPECT_EQ(refusal_of(std::string_view(whole).substr(0, length)),
                "the image's header breaks off at byte " + std::to_string(length))
          << name;
  }
}

TEST(ReadImageHeader, finds_the_orientation_in_a_WebPs_last_chunk) {
  const std::string exif("II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\7\0\0\0\0\0\0\0", 26);
  const std::string file = "RIFF" + std::string(4, '\0') + "WEBPVP8X" +
                           std::string("\x0A\0\0\0\x08\0\0\0\4\0\0\1\0\0", 14) + "EXIF" + std::string("\x1A\0\0\0", 4) +
                           exif;
  const ImageHeader header = read_image_header(file);
  EXPECT_EQ((std::tuple(header.width, header.height, header.orientation)), (std::tuple(5, 2, 7)));
}

TEST(ReadImageHeader, enlarges_a_GIFs_screen_to_its_first_frame) {
  const std::string file("GIF89a\2\0\2\0\0\0\0\x2C\1\0\1\0\x05\0\1\0\0", 23);
  const ImageHeader header = read_image_header(file);
  EXPECT_EQ((std::tuple(header.width, header.height)), (std::tuple(6, 2)));
}

TEST(ReadImageHeader, refuses_other_kinds_by_name) {
  for (const auto& [bytes, name] : {std::pair("II*\0\x08\0\0\0"sv, "is TIFF"),
                                    {"MM\0*\0\0\0\x08"sv, "is TIFF"},
                                    {"\0\0\0\x1C"
                                     "ftypavif\0\0\0\0"sv,
                                     "is AVIF"},
                                    {"\0\0\0\x18"
                                     "ftypheic\0\0\0\0"sv,
                                     "is HEIC"},
                                    {"\0\0\0\x18"
                                     "ftypisom\0\0\0\0"sv,
                                     "is a video"},
                                    {"\0\0\1\0\1\0"sv, "is an icon"},
                                    {"8BPS\0\1"sv, "is Photoshop"},
                                    {"\0\0\0\x0CjP  \r\n\x87\n"sv, "is JPEG 2000"},
                                    {"<svg xmlns='x'>"sv, "is SVG"},
                                    {"\xEF\xBB\xBF <?xml version='1.0'?><svg>"sv, "is SVG"},
                                    {"<?xml version='1.0'?><a/>"sv, "is XML"},
                                    {"\n<!DOCTYPE html><title>404"sv, "is an HTML page"},
                                    {"%PDF-1.7"sv, "is PDF"},
                                    {"version https://git-lfs.github.com/spec/v1\n"sv, "is a Git LFS pointer"},
                                    {""sv, "is an empty file"},
                                    {"RIFF\0\0\0\0WAVEfmt "sv, "is no kind of image"},
                                    {"not an image"sv, "is no kind of image"}})
    EXPECT_EQ(refusal_of(bytes).find(name), std::size_t{0}) << name << ": " << refusal_of(bytes);
}

TEST(ReadImageHeader, refuses_no_pixels_and_too_many) {
  EXPECT_EQ(refusal_of(png_of(0, 5)), "has 0 x 5 pixels");
  EXPECT_EQ(refusal_of(png_of(65500, 1)), "");
  EXPECT_EQ(refusal_of(png_of(65501, 1)), "has 65501 x 1 pixels; a side has at most 65500");
  EXPECT_EQ(refusal_of(png_of(13377, 13377)), "");
  EXPECT_EQ(refusal_of(png_of(13378, 13378)), "has 13378 x 13378 pixels; at most 178956970 are decoded");
  EXPECT_NE(refusal_of(png_of(0xFFFFFFFF, 0xFFFFFFFF)), "");
}

TEST(ReadImageHeader, takes_nonsense_in_EXIF_for_none) {
  const std::string file = golden("exif6.png");
  const std::size_t tag = file.find(std::string("\x01\x12", 2), file.find("eXIf"));
  ASSERT_NE(tag, std::string::npos);
  for (std::size_t at = file.find("eXIf") + 4; at < tag + 12; ++at) {
    std::string broken = file;
    broken[at] = static_cast<char>(broken[at] ^ 0x7F);
    const int orientation = read_image_header(broken).orientation;
    EXPECT_TRUE(orientation == 1 || orientation == 6) << at << ": " << orientation;
  }
}

}  // namespace
}  // namespace proctor
