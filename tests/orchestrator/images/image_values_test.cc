// What rows say of their images.
#include "orchestrator/images/image_values.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "orchestrator/images/base64.h"
#include "orchestrator/metrics/hashes.h"
#include "sharding/protocol/error.h"
#include "tests/orchestrator/support/tiny_image.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string base64(const std::string& bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t k = 0; k < 3; ++k)
      three = three << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k) text += i + k <= bytes.size() ? kDigits[three >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

TEST(Base64, gives_the_bytes_back_or_nothing) {
  for (const std::string bytes : {"", "a", "ab", "abc", "abcd", "\xFF\xFE\x00!"}) {
    EXPECT_EQ(decode_base64(base64(bytes)), bytes);
  }
  EXPECT_EQ(decode_base64("YWI"), "ab") << "what fills up may be missing";
  EXPECT_EQ(decode_base64("YW\nI="), "ab");
  for (const char* bad : {"Y", "YW=I", "YWI==", "YWI=====", "a.png", "YW-I"})
    EXPECT_EQ(decode_base64(bad), std::nullopt) << bad;
}

class ImageValuesTest : public testing::Test {
 protected:
  ImageValuesTest() {
    fs::create_directories(root_ / "pictures");
    std::ofstream(root_ / "pictures" / "a.png") << tiny_png(1, 2);
    std::ofstream(root_ / "b.png") << tiny_png(3, 4);
  }
  ~ImageValuesTest() override { fs::remove_all(root_); }
  std::vector<std::string> paths(Json value) {
    std::vector<std::string> found;
    for (const Image& image : images_of(std::move(value), files_, (root_ / "rows.jsonl").string(), "rows.jsonl:7"))
      found.push_back(fs::path(image.path).lexically_relative(root_).string());
    return found;
  }
  std::string refusal(Json value) {
    try {
      (void)paths(std::move(value));
      return "accepted";
    } catch (const InputError& error) {
      return error.what();
    }
  }
  using Paths = std::vector<std::string>;
  fs::path root_ = fs::temp_directory_path() / ("proctor-values-" + std::to_string(::getpid()));
  ImageFiles files_{root_ / "kept"};
};

TEST_F(ImageValuesTest, paths_begin_in_the_folder_of_the_data) {
  EXPECT_EQ(paths("pictures/a.png"), Paths{"pictures/a.png"});
  EXPECT_EQ(paths({"b.png", nullptr, "./pictures/../pictures/a.png", ""}), (Paths{"b.png", "pictures/a.png"}));
  EXPECT_EQ(paths({{"bytes", nullptr}, {"path", "b.png"}}), Paths{"b.png"});
  EXPECT_EQ(paths((root_ / "b.png").string()), Paths{"b.png"});
  for (const Json& none : {Json(), Json(""), Json::array()}) EXPECT_EQ(paths(none), Paths{});
}

TEST_F(ImageValuesTest, bytes_and_base64_are_written_down_and_the_row_keeps_their_hash) {
  const std::string png = tiny_png(5, 6), kept = "kept/" + xxh3_hex(png);
  EXPECT_EQ(paths(base64(png)), Paths{kept});
  EXPECT_EQ(paths("data:image/png;base64," + base64(png)), Paths{kept});
  EXPECT_EQ(paths({{{"bytes", base64(png)}, {"path", "not there.png"}}, "b.png"}), (Paths{kept, "b.png"}));
  Json row = {{{"bytes", base64(png)}, {"path", "x.png"}}, "b.png"};
  store_images(row, files_, "rows.jsonl:7");
  EXPECT_EQ(row, (Json{{{"image", xxh3_hex(png)}}, "b.png"}));
  EXPECT_EQ(paths(row), (Paths{kept, "b.png"}));
}

TEST_F(ImageValuesTest, what_is_wrong_is_said_by_line_and_image) {
  EXPECT_EQ(refusal("c.png"), "rows.jsonl:7: image " + (root_ / "c.png").string() +
                                  ": is not there; a path is relative to the folder of the data file");
  EXPECT_EQ(
      refusal(3),
      "rows.jsonl:7: an image is 3; expected a path, base64, {\"bytes\": ..., \"path\": ...}, or a list of these");
  EXPECT_EQ(refusal({{"bytes", "%"}}), "rows.jsonl:7: an image's \"bytes\" are no base64");
  EXPECT_EQ(refusal("data:image/png;base64,?"),
            "rows.jsonl:7: an image is neither a path nor base64: 'data:image/png;base64,?...'");
}

}  // namespace
}  // namespace proctor
