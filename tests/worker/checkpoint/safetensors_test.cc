#include "worker/checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

std::string with_header(const std::string& header, std::size_t data_bytes) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return bytes + header + std::string(data_bytes, '\0');
}

std::string refusal(const std::string& bytes) {
  try {
    parse_safetensors_header(bytes, bytes.size(), "x.safetensors");
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Safetensors, reads_a_header) {
  const std::string file = with_header(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[],"data_offsets":[24,26]}})",
      26);
  const auto tensors = parse_safetensors_header(file, file.size(), "x");
  EXPECT_EQ(tensors.at("a").shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(tensors.at("b").end, file.size());
}

TEST(Safetensors, trusts_nothing) {
  EXPECT_NE(refusal("abc").find("too few"), std::string::npos);
  EXPECT_NE(refusal(with_header("{}", 0).substr(0, 9)).find("truncated"), std::string::npos);
  EXPECT_NE(refusal(std::string(7, '\xff') + '\x7f' + "{}").find("bound"), std::string::npos);
  EXPECT_NE(refusal(with_header("{not json", 0)).find("header"), std::string::npos);
  EXPECT_NE(refusal(with_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4)).find("truncated"),
            std::string::npos);
  EXPECT_NE(refusal(with_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8)).find("outside"),
            std::string::npos);
  EXPECT_NE(refusal(with_header(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8)).find("need 12 bytes"),
            std::string::npos);
  EXPECT_NE(refusal(with_header(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8)).find("negative"),
            std::string::npos);
  EXPECT_NE(refusal(with_header(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", 8))
                .find("overflows"),
            std::string::npos);
  EXPECT_NE(refusal(with_header(R"({"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}})", 8)).find("F99"),
            std::string::npos);
  EXPECT_NE(
      refusal(
          with_header(
              R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
              12))
          .find("overlap"),
      std::string::npos);
  EXPECT_NE(refusal(with_header(std::string(40, '[') + std::string(40, ']'), 0)).find("nested"), std::string::npos);
}

/// transformers 5 saves a block of no width so.
TEST(Safetensors, an_empty_tensor_lies_nowhere) {
  EXPECT_EQ(
      refusal(with_header(
          R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[0,2],"data_offsets":[4,4]}})",
          8)),
      "accepted");
}

TEST(Safetensors, every_truncation_of_a_file_is_refused) {
  const std::string file = with_header(R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})", 24);
  for (std::size_t size = 0; size < file.size(); ++size) EXPECT_NE(refusal(file.substr(0, size)), "accepted") << size;
  EXPECT_EQ(refusal(file), "accepted");
}

TEST(Checkpoint, joins_the_files_of_an_index_and_names_a_missing_one) {
  const auto folder = std::filesystem::temp_directory_path() / "proctor-checkpoint-test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const auto write = [&](const std::string& name, const std::string& bytes) {
    std::ofstream(folder / name, std::ios::binary) << bytes;
  };
  write("1.safetensors", with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
  write("2.safetensors", with_header(R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
  write("model.safetensors.index.json", R"({"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})");
  const Checkpoint checkpoint(folder.string());
  EXPECT_TRUE(checkpoint.has("a") && checkpoint.has("b"));
  EXPECT_THROW(checkpoint.find("c"), InputError);
  std::filesystem::remove(folder / "2.safetensors");
  EXPECT_THROW(Checkpoint again(folder.string()), InputError);
  write("model.safetensors.index.json", R"({"weight_map":{"a":"../1.safetensors"}})");
  EXPECT_THROW(Checkpoint again(folder.string()), InputError);
  write("2.safetensors", with_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8));
  write("model.safetensors.index.json", R"({"weight_map":{"a":"2.safetensors"}})");
  EXPECT_EQ(Checkpoint(folder.string()).find("a").entry->shape, std::vector<std::int64_t>{2})
      << "the index decides, though the first file has one too";
  write("model.safetensors.index.json", R"({"weight_map":{"a":"1.safetensors","z":"2.safetensors"}})");
  EXPECT_THROW(Checkpoint again(folder.string()), InputError) << "no z there";
  write("model.safetensors", with_header(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})", 12));
  EXPECT_EQ(Checkpoint(folder.string()).find("a").entry->shape, std::vector<std::int64_t>{3})
      << "beside model.safetensors an index is not read, stale or not";
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace proctor
