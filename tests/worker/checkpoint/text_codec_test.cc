#include "worker/checkpoint/text_codec.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

ModelFolder tiny(const char* model = "llama") {
  return read_model_folder((std::filesystem::path(PROCTOR_TINY_MODELS) / model).string());
}
using Ids = Tokens;

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

/// Ids by transformers 4.57.1: BertTokenizerFast's arguments win over the normalizer in tokenizer.json.
TEST(TextCodec, berts_normalizer_is_as_tokenizer_config_says) {
  ModelFolder folder = tiny("bert");
  const auto ids = [&](const char* text) { return TextCodec(folder, std::nullopt).encode(text); };
  EXPECT_EQ(ids("ABC abé"), (Ids{2, 4, 44, 45, 4, 44, 47, 3}));
  EXPECT_EQ(ids("a一b"), (Ids{2, 4, 1, 5, 3}));
  folder.tokenizer.tokenize_chinese_chars = false;
  EXPECT_EQ(ids("a一b"), (Ids{2, 1, 3}));
  folder.tokenizer.strip_accents = false;
  EXPECT_EQ(ids("ABC abé"), (Ids{2, 4, 44, 45, 1, 3}));
  folder.tokenizer.do_lower_case = false;
  EXPECT_EQ(ids("ABC abé"), (Ids{2, 1, 1, 3}));
  folder.tokenizer.tokenizer_class = "PreTrainedTokenizerFast";
  EXPECT_EQ(ids("ABC abé"), (Ids{2, 4, 44, 45, 4, 44, 47, 3})) << "which has no such arguments";
}

/// An older Metaspace keeps the space that it says it puts in front: transformers overrides ByteLevel's only.
TEST(TextCodec, an_older_metaspace_keeps_its_prefix) {
  const std::filesystem::path copy =
      std::filesystem::temp_directory_path() / ("proctor-t5-" + std::to_string(getpid()));
  std::filesystem::copy(std::filesystem::path(PROCTOR_TINY_MODELS) / "t5", copy);
  std::ifstream in(copy / "tokenizer.json");
  nlohmann::json json = nlohmann::json::parse(in);
  const Ids before = TextCodec(read_model_folder(copy.string()), std::nullopt).encode("true");
  json["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "▁"}, {"add_prefix_space", true}};
  std::ofstream(copy / "tokenizer.json") << json;
  EXPECT_EQ(TextCodec(read_model_folder(copy.string()), std::nullopt).encode("true"), before);
  std::filesystem::remove_all(copy);
}

TEST(TextCodec, gives_types_where_the_model_takes_them) {
  ModelFolder folder = tiny("bert");
  const auto types = [&] { return TextCodec(folder, std::nullopt).encode_pair_at_most("a", "b", 16).type_ids; };
  EXPECT_EQ(types(), (Ids{0, 0, 0, 1, 1}));
  folder.tokenizer.gives_types = false;
  EXPECT_EQ(types(), Ids(5, 0));
}

TEST(TextCodec, decodes_without_specials_and_cleans_up_only_where_asked) {
  ModelFolder folder = tiny();
  const Ids ids = {'H', 'i', ' ', ',', 257};
  EXPECT_EQ(TextCodec(folder, std::nullopt).decode(ids), "Hi ,");
  folder.tokenizer.clean_up_spaces = true;
  EXPECT_EQ(TextCodec(folder, std::nullopt).decode(ids), "Hi,");
}

/// The tiny tokenizer (258 ids, bytes and <s>, </s>) with other files beside it.
struct Beside {
  fs::path root = fs::temp_directory_path() / ("proctor-tokens-" + std::to_string(::getpid()));
  Beside() {
    fs::create_directories(root);
    fs::copy_file(fs::path(tiny().path) / "tokenizer.json", root / "tokenizer.json",
                  fs::copy_options::overwrite_existing);
  }
  ~Beside() { fs::remove_all(root); }
  Ids encode(const std::string& text, const nlohmann::json& config, const nlohmann::json& map = {},
             const nlohmann::json& added = {}) const {
    for (const auto& [name, content] :
         {std::pair("tokenizer_config.json", config), std::pair("special_tokens_map.json", map),
          std::pair("added_tokens.json", added)}) {
      fs::remove(root / name);
      if (!content.is_null()) std::ofstream(root / name) << content.dump();
    }
    ModelFolder folder;
    folder.path = root.string();
    folder.tokenizer = read_tokenizer_settings(folder.path);
    return TextCodec(folder, std::nullopt).encode_without_specials(text);
  }
};

/// Expected: PreTrainedTokenizerFast of transformers 4.57.1 on the same files.
TEST(TextCodec, takes_tokens_from_the_files_beside_as_transformers_does) {
  const Beside beside;
  const nlohmann::json decoder = {{"added_tokens_decoder", {{"300", {{"content", "<x>"}, {"special", true}}}}}};
  EXPECT_EQ(beside.encode("a<x>", decoder), (Ids{'a', 258})) << "the next free id, whatever the file says";
  EXPECT_EQ(beside.encode("a<p>", {{"pad_token", "<p>"}}), (Ids{'a', 258})) << "every special token is one";
  EXPECT_EQ(beside.encode("a<u><p>", {{"pad_token", "<p>"}, {"additional_special_tokens", {"<u>"}}}),
            (Ids{'a', 259, 258}));
  EXPECT_EQ(beside.encode("a  <p>", nlohmann::json::object(), {{"pad_token", {{"content", "<p>"}, {"lstrip", true}}}}),
            (Ids{'a', 258}))
      << "special_tokens_map.json, with its flags";
  nlohmann::json both = decoder;
  both["pad_token"] = "<p>";
  EXPECT_EQ(beside.encode("<q>", both, {{"pad_token", "<q>"}}), (Ids{'<', 'q', '>'}))
      << "with added_tokens_decoder the map is not read";
  EXPECT_EQ(beside.encode("<two><one>", nlohmann::json::object(), {}, {{"<two>", 301}, {"<one>", 300}}),
            (Ids{259, 258}))
      << "added_tokens.json, in the order of its ids";
}

TEST(TextCodec, says_what_is_wrong_in_the_files_beside) {
  const Beside beside;
  const auto refusal = [&](const nlohmann::json& config) -> std::string {
    try {
      beside.encode("a", config);
    } catch (const InputError& error) {
      return error.what();
    }
    return "accepted";
  };
  for (const char* key : {"abc", "12x", "1.5", "-1"})
    EXPECT_NE(refusal({{"added_tokens_decoder", {{key, {{"content", "<x>"}}}}}})
                  .find(std::string("'") + key + "', which is no token id"),
              std::string::npos)
        << key;
  EXPECT_NE(refusal({{"split_special_tokens", true}}).find("split_special_tokens"), std::string::npos);
  EXPECT_NE(refusal({{"added_tokens_decoder", "text"}}).find("not as expected"), std::string::npos);
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
