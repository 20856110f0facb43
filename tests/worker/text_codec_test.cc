#include "worker/text_codec.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "sharding/error.h"

namespace proctor {
namespace {

ModelFolder tiny() { return read_model_folder((std::filesystem::path(PROCTOR_TINY_MODELS) / "llama").string()); }
using Ids = std::vector<std::int32_t>;

TEST(TextCodec, moves_trailing_space_of_the_context_to_the_continuation) {
  TextCodec codec(tiny(), std::nullopt);
  const auto pair = codec.encode_pair("ab \n", "c");
  EXPECT_EQ(pair.context, (Ids{'a', 'b'}));
  EXPECT_EQ(pair.continuation, (Ids{' ', '\n', 'c'}));
}

TEST(TextCodec, an_empty_context_is_the_prefix_token) {
  TextCodec codec(tiny(), std::nullopt);
  EXPECT_EQ(codec.encode_pair("", "hi").context, Ids{256});
  const auto begins_with_prefix = codec.encode_pair("", "<s>hi");
  EXPECT_EQ(begins_with_prefix.context, Ids{256});
  EXPECT_EQ(begins_with_prefix.continuation, (Ids{'h', 'i'})) << "the prefix is not doubled";
}

TEST(TextCodec, refuses_a_continuation_without_a_token) {
  TextCodec codec(tiny(), std::nullopt);
  EXPECT_THROW(codec.encode_pair("abc", ""), InputError);
}

TEST(TextCodec, adds_bos_as_the_tokenizer_class_says) {
  ModelFolder folder = tiny();
  folder.tokenizer.tokenizer_class = "LlamaTokenizerFast";
  EXPECT_EQ(TextCodec(folder, std::nullopt).encode("a"), (Ids{256, 'a'}));
  EXPECT_EQ(TextCodec(folder, false).encode("a"), Ids{'a'});
  EXPECT_EQ(TextCodec(folder, std::nullopt).encode("<s>a"), (Ids{256, 'a'})) << "never twice";
  folder.tokenizer.add_bos_token = false;
  folder.tokenizer.add_eos_token = true;
  EXPECT_EQ(TextCodec(folder, std::nullopt).encode("a"), (Ids{'a', 257}));
  EXPECT_EQ(TextCodec(folder, true).encode("a"), (Ids{256, 'a', 257})) << "the suite's word wins over the file's";
}

TEST(TextCodec, decodes_without_specials_and_cleans_up_only_where_asked) {
  ModelFolder folder = tiny();
  const Ids ids = {'H', 'i', ' ', ',', 257};
  EXPECT_EQ(TextCodec(folder, std::nullopt).decode(ids), "Hi ,");
  folder.tokenizer.clean_up_spaces = true;
  EXPECT_EQ(TextCodec(folder, std::nullopt).decode(ids), "Hi,");
}

TEST(TextCodec, takes_tokens_from_tokenizer_config_and_says_what_is_wrong_there) {
  ModelFolder folder = tiny();
  folder.tokenizer.added_tokens = nlohmann::json{{"300", {{"content", "<x>"}, {"special", true}}}};
  EXPECT_EQ(TextCodec(folder, std::nullopt).encode("a<x>"), (Ids{'a', 300}));
  folder.tokenizer.added_tokens = nlohmann::json{{"abc", {{"content", "<x>"}}}};
  EXPECT_THROW(TextCodec(folder, std::nullopt), InputError);
  folder.tokenizer.added_tokens = "text";
  EXPECT_THROW(TextCodec(folder, std::nullopt), InputError);
}

TEST(CleanUpSpaces, is_transformers_list) {
  EXPECT_EQ(clean_up_spaces("Hello , world . I do n't ' know ' it 's ?"), "Hello, world. I don't'know'it's?");
}
TEST(TrailingWhiteSpace, counts_what_python_strips) {
  EXPECT_EQ(trailing_white_space("a \xC2\xA0\n"), 4u);
  EXPECT_EQ(trailing_white_space(""), 0u);
}

}  // namespace
}  // namespace proctor
