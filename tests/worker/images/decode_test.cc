#include "worker/images/decode.h"

#include <gtest/gtest.h>

#include "sharding/images/image_header.h"
#include "sharding/protocol/error.h"
#include "tests/worker/images/vision_goldens.h"

namespace proctor {
namespace {

using nlohmann::json;

/// What decode_image throws of it; "" where it throws nothing.
std::string refusal_of(std::string_view bytes) {
  try {
    decode_image(bytes, false);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

/// Little-endian; count: 1 to 4 bytes.
void append(std::string& bytes, std::uint32_t value, int count) {
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> 8 * i & 255);
}

struct BmpParts {
  std::uint32_t bits = 24, compression = 0;
  std::string tables;  // palette or masks
  std::string pixels;
};

/// Of 2 x 2 pixels.
std::string bmp_of(const BmpParts& parts) {
  std::string bytes = "BM";
  bytes += std::string(8, '\0');
  append(bytes, static_cast<std::uint32_t>(54 + parts.tables.size()), 4);
  for (const std::uint32_t field : {40, 2, 2}) append(bytes, field, 4);
  append(bytes, 1, 2);
  append(bytes, parts.bits, 2);
  append(bytes, parts.compression, 4);
  bytes += std::string(20, '\0');
  return bytes + parts.tables + parts.pixels;
}

/// 8 x 8 pixels of gray in a scan for the first coefficient, then 14 for each of so many others: bit by bit, all zero.
std::string jpeg_of_scans(int coefficients) {
  const std::string one_code = std::string("\1", 1) + std::string(16, '\0');  // the code 0 stands for the symbol 0
  std::string bytes("\xFF\xD8\xFF\xDB\0\x43\0", 7);
  bytes += std::string(64, '\1') + std::string("\xFF\xC2\0\x0B\x08\0\x08\0\x08\1\1\x11\0", 13);
  for (const char table : {'\0', '\x10'}) bytes += std::string("\xFF\xC4\0\x14", 4) + table + one_code;
  const auto scan = [&](int coefficient, int approximation) {
    bytes += std::string("\xFF\xDA\0\x08\1\1\0", 7) + std::string(2, static_cast<char>(coefficient));
    bytes += static_cast<char>(approximation);
    bytes += '\x7F';
  };
  scan(0, 0);
  for (int k = 1; k <= coefficients; ++k)
    for (int low = 13; low >= 0; --low) scan(k, low == 13 ? low : (low + 1) << 4 | low);
  return bytes + "\xFF\xD9";
}

using Bytes = std::vector<std::uint8_t>;

TEST(DecodeImage, gives_the_bytes_that_Pillow_gives_for_every_format) {
  const json goldens = vision_json("formats.json");
  for (const auto& [name, golden] : goldens.items()) {
    if (golden.contains("error") || name == "gray16.png") continue;
    const Picture picture = decode_image(vision_file("formats/" + name), false);
    EXPECT_EQ((json{picture.width, picture.height}), golden.at("size")) << name;
    EXPECT_EQ(sha256_of(picture.rgb), golden.at("rgb_sha256")) << name;
  }
}

TEST(DecodeImage, turns_a_picture_upright_where_asked) {
  int turned = 0;
  const json goldens = vision_json("formats.json");
  for (const auto& [name, golden] : goldens.items()) {
    if (!golden.contains("upright_rgb_sha256")) continue;
    EXPECT_EQ(sha256_of(decode_image(vision_file("formats/" + name), true).rgb), golden.at("upright_rgb_sha256"))
        << name;
    ++turned;
  }
  EXPECT_EQ(turned, 8);
}

TEST(DecodeImage, refuses_16_bit_gray_by_name) {
  EXPECT_NE(refusal_of(vision_file("formats/gray16.png")).find("16-bit gray"), std::string::npos);
}

TEST(DecodeImage, refuses_files_that_end_early_with_the_librarys_words) {
  EXPECT_EQ(refusal_of(vision_file("formats/truncated.jpg")),
            "a broken or truncated JPEG (Premature end of JPEG file)");
  EXPECT_EQ(refusal_of(vision_file("formats/truncated.png")), "a broken or truncated PNG (the file ends early)");
}

TEST(DecodeImage, refuses_each_truncation_of_each_kind) {
  for (const char* name : {"s2.jpg", "progressive.jpg", "cmyk.jpg", "rgb.png", "palette_trns.png", "lossy.webp",
                           "lossless.webp", "alpha.webp"}) {
    const std::string whole = vision_file(std::string("formats/") + name);
    for (std::size_t length = 0; length < whole.size(); ++length)
      EXPECT_NE(refusal_of(std::string_view(whole).substr(0, length)), "") << name << " of " << length << " bytes";
  }
}

/// A GIF may lack its trailer, a BMP the padding of its last row, to Pillow too.
TEST(DecodeImage, refuses_a_GIF_or_BMP_without_the_last_pixel) {
  for (const auto& [name, spare] : {std::pair("still.gif", 1), {"rgb.bmp", 1}}) {
    const std::string whole = vision_file(std::string("formats/") + name);
    for (std::size_t length = 0; length < whole.size() - spare; ++length)
      EXPECT_NE(refusal_of(std::string_view(whole).substr(0, length)), "") << name << " of " << length << " bytes";
    EXPECT_EQ(refusal_of(std::string_view(whole).substr(0, whole.size() - spare)), "") << name;
  }
}

TEST(DecodeImage, refuses_an_animation_cut_short_in_its_first_frame) {
  const std::string whole = vision_file("formats/animated.webp");
  for (std::size_t length = 0; length < whole.size() / 2; ++length)
    EXPECT_NE(refusal_of(std::string_view(whole).substr(0, length)), "") << length;
}

TEST(DecodeImage, refuses_a_PNG_whose_bytes_are_not_those_of_its_checksums) {
  const std::string whole = vision_file("formats/rgb.png");
  for (std::size_t at = 8; at < whole.size(); ++at) {
    std::string broken = whole;
    broken[at] = static_cast<char>(broken[at] ^ 1);
    EXPECT_NE(refusal_of(broken), "") << at;
  }
}

TEST(DecodeImage, survives_any_byte_being_another) {
  for (const char* name : {"s2.jpg", "progressive.jpg", "palette.png", "lossy.webp", "alpha.webp", "animated.webp",
                           "still.gif", "rgb.bmp"}) {
    const std::string whole = vision_file(std::string("formats/") + name);
    for (std::size_t at = 0; at < whole.size(); ++at) {
      std::string other = whole;
      other[at] = static_cast<char>(~other[at]);
      try {  // sides that such a byte makes huge are tried by the fuzzer
        const ImageHeader header = read_image_header(other);
        if (header.height * header.width < 1 << 20) decode_image(other, true);
      } catch (const InputError&) {
      }
    }
  }
}

TEST(DecodeImage, passes_over_bytes_between_a_JPEGs_segments_as_Pillow_does) {
  const std::string whole = vision_file("formats/s2.jpg");
  const std::string extraneous = whole.substr(0, whole.size() - 2) + "\x01\x02" + whole.substr(whole.size() - 2);
  EXPECT_EQ(decode_image(extraneous, false).rgb, decode_image(whole, false).rgb);
}

TEST(DecodeImage, refuses_a_progressive_JPEG_of_endless_scans) {
  EXPECT_EQ(refusal_of(jpeg_of_scans(35)), "");
  EXPECT_EQ(refusal_of(jpeg_of_scans(36)), "a broken or truncated JPEG (more than 500 scans)");
}

TEST(DecodeImage, reads_BMP_of_each_depth) {
  const Bytes expected = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255};  // red, green; blue, white
  const std::string pad1(1, '\0'), pad2(2, '\0'), pad3(3, '\0');
  const std::string palette("\0\0\xFF\0\0\xFF\0\0\xFF\0\0\0\xFF\xFF\xFF\0", 16), rest(252 * 4, '\0');
  const std::string two_colors("\0\0\0\0\xFF\xFF\xFF\0", 8);
  const auto decoded = [](const BmpParts& parts) { return decode_image(bmp_of(parts), false).rgb; };
  EXPECT_EQ(decoded({1, 0, two_colors, std::string("\x40") + pad3 + "\x80" + pad3}),
            (Bytes{255, 255, 255, 0, 0, 0, 0, 0, 0, 255, 255, 255}));
  EXPECT_EQ(decoded({4, 0, palette + std::string(48, '\0'), "\x23" + pad3 + "\x01" + pad3}), expected);
  EXPECT_EQ(decoded({8, 0, palette + rest, "\x02\x03" + pad2 + std::string("\0\1", 2) + pad2}), expected);
  EXPECT_EQ(decoded({16, 0, "", std::string("\x1F\0\xFF\x7F\0\x7C\xE0\x03", 8)}), expected);
  EXPECT_EQ(decoded({16, 3, std::string("\0\xF8\0\0\xE0\x07\0\0\x1F\0\0\0", 12),
                     std::string("\x1F\0\xFF\xFF\0\xF8\xE0\x07", 8)}),
            expected);
  EXPECT_EQ(
      decoded({24, 0, "", std::string("\xFF\0\0\xFF\xFF\xFF", 6) + pad2 + std::string("\0\0\xFF\0\xFF\0", 6) + pad2}),
      expected);
  EXPECT_EQ(decoded({32, 0, "", std::string("\xFF\0\0\1\xFF\xFF\xFF\1\0\0\xFF\1\0\xFF\0\1", 16)}), expected);
}

TEST(DecodeImage, refuses_BMP_that_it_does_not_read) {
  EXPECT_NE(refusal_of(bmp_of({8, 1, "", ""})).find("run lengths"), std::string::npos);
  EXPECT_NE(refusal_of(bmp_of({24, 5, "", ""})).find("compression 5"), std::string::npos);
  EXPECT_NE(refusal_of(bmp_of({7, 0, "", ""})).find("7 bits"), std::string::npos);
  EXPECT_NE(refusal_of(bmp_of({16, 3, std::string(12, '\0'), std::string(8, '\0')})).find("bits wide"),
            std::string::npos);
}

/// A frame in the corner of its screen: around it is what is not drawn.
TEST(DecodeImage, lays_a_GIFs_first_frame_on_its_screen) {
  std::string bytes("GIF89a\2\0\2\0\x80\0\0\1\2\3\4\5\6", 19);
  bytes += std::string("\x21\xF9\4\1\0\0\1\0", 8);                     // color 1 is not drawn
  bytes += std::string("\x2C\1\0\1\0\1\0\1\0\0\2\2\x44\1\0\x3B", 16);  // one pixel of color 0
  EXPECT_EQ(decode_image(bytes, false).rgb, (Bytes{4, 5, 6, 4, 5, 6, 4, 5, 6, 1, 2, 3}));
}

TEST(DecoderVersions, names_each_library) {
  const std::string versions = decoder_versions();
  for (const char* name : {"libjpeg", "libpng 1.", "libwebp 1.", "giflib 5."})
    EXPECT_NE(versions.find(name), std::string::npos) << versions;
}

}  // namespace
}  // namespace proctor
