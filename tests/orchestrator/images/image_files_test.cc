// What is known of image files, and what is written down of images that come as bytes.
#include "orchestrator/images/image_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "orchestrator/metrics/hashes.h"
#include "sharding/protocol/error.h"
#include "tests/orchestrator/support/tiny_image.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

class ImageFilesTest : public testing::Test {
 protected:
  ImageFilesTest() { fs::create_directories(root_); }
  ~ImageFilesTest() override { fs::remove_all(root_); }
  std::string write(const std::string& name, const std::string& bytes) {
    std::ofstream(root_ / name, std::ios::binary) << bytes;
    return (root_ / name).string();
  }
  std::string refusal(const std::string& path) {
    try {
      (void)ImageFiles({}).at(path);
      return "accepted";
    } catch (const InputError& error) {
      return error.what();
    }
  }
  fs::path root_ = fs::temp_directory_path() / ("proctor-images-" + std::to_string(::getpid()));
};

TEST_F(ImageFilesTest, a_file_is_known_by_its_bytes_and_its_header) {
  const std::string path = write("a.png", tiny_png(30, 20));
  const Image image = ImageFiles({}).image(path, false);
  EXPECT_EQ(image, (Image{xxh3_hex(tiny_png(30, 20)), path, 20, 30}));
  fs::create_symlink(path, root_ / "link.png");
  EXPECT_EQ(ImageFiles({}).image((root_ / "link.png").string(), false).hash, image.hash);
}

TEST_F(ImageFilesTest, what_cannot_be_an_image_is_refused_by_what_is_wrong_with_it) {
  EXPECT_EQ(refusal((root_ / "no.png").string()), "is not there; a path is relative to the folder of the data file");
  EXPECT_EQ(refusal(root_.string()), "is a folder");
  EXPECT_EQ(refusal(write("empty.png", "")), "is empty; is a download not complete?");
  EXPECT_NE(refusal(write("text.png", "hello")), "accepted");
  write("large.png", "");
  fs::resize_file(root_ / "large.png", (std::uintmax_t{512} << 20) + 1);
  EXPECT_EQ(refusal((root_ / "large.png").string()), "has 512 MiB, past the 512 MiB that an image may have");
}

TEST_F(ImageFilesTest, the_next_start_reads_only_what_has_changed) {
  const std::string same = write("same.png", tiny_png(1, 2)), other = write("other.png", tiny_png(1, 2));
  {
    ImageFiles first(root_ / "kept");
    (void)first.at(same);
    (void)first.at(other);
    first.keep();
  }
  const auto when = fs::last_write_time(same);
  write("same.png", std::string(tiny_png(1, 2).size(), 'x'));  // of the same size and time: it is not read again
  fs::last_write_time(same, when);
  write("other.png", tiny_png(7, 8) + "more");
  ImageFiles second(root_ / "kept");
  EXPECT_EQ(second.at(same).width, 1);
  EXPECT_EQ(second.at(other).width, 7);
}

TEST_F(ImageFilesTest, bytes_are_written_once_under_their_hash) {
  ImageFiles files(root_ / "kept");
  const std::string hash = files.store(tiny_png(3, 4));
  EXPECT_EQ(files.store(tiny_png(3, 4)), hash);
  EXPECT_EQ(files.at(files.path_of(hash)).hash, hash);
  EXPECT_EQ(std::distance(fs::directory_iterator(root_ / "kept"), {}), 1);
  EXPECT_THROW(ImageFiles({}).store("x"), EnvironmentError);
}

}  // namespace
}  // namespace proctor
