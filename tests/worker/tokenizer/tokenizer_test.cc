#include "worker/tokenizer/tokenizer.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>

#include "sharding/protocol/error.h"
#include "worker/tokenizer/unicode.h"

namespace proctor {
namespace {

using Json = nlohmann::json;
const std::filesystem::path kTokenizers = std::filesystem::path(PROCTOR_TEST_DATA) / "tokenizers";

/// A plain or gzipped file's bytes (zlib reads both).
std::string read(const std::filesystem::path& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  std::string text;
  char buffer[65536];
  for (int n = 0; file && (n = gzread(file, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  if (file) gzclose(file);
  return text;
}

struct Counts {
  int singles = 0, pairs = 0;
};

/// Each line of `goldens` is a text or a pair with what the `tokenizers` library makes of it.
Counts expect_exact(const std::filesystem::path& file, const std::filesystem::path& goldens) {
  Tokenizer tokenizer(Json::parse(read(file)), file.string());
  std::istringstream lines(read(goldens));
  Counts counts;
  for (std::string line; std::getline(lines, line);) {
    const Json golden = Json::parse(line);
    using Ids = Tokens;
    if (golden.contains("pair")) {
      ++counts.pairs;
      const Encoding encoding = tokenizer.encode_pair(golden["pair"][0].get<std::string>(),
                                                      golden["pair"][1].get<std::string>(), Special::add);
      EXPECT_EQ(encoding.ids, golden["ids_special"].get<Ids>()) << line;
      EXPECT_EQ(encoding.type_ids, golden["type_ids"].get<Ids>()) << line;
      continue;
    }
    ++counts.singles;
    const std::string text = golden["text"];
    const Ids ids = golden["ids"];
    EXPECT_EQ(tokenizer.encode(text, Special::leave_out).ids, ids) << line;
    EXPECT_EQ(tokenizer.encode(text, Special::add).ids, golden["ids_special"].get<Ids>()) << line;
    EXPECT_EQ(tokenizer.decode(ids, Decoding::keep_special), golden["decoded"].get<std::string>()) << line;
  }
  return counts;
}

/// tools/fuzz_tokenizers --golden: random normalisers, pre-tokenizers, models, post-processors, decoders, added tokens.
TEST(Tokenizer, random_ones_are_exact_or_refused_by_name) {
  std::istringstream lines(
      read(std::filesystem::path(PROCTOR_SOURCE) / "tests/data/goldens/random_tokenizers.jsonl.gz"));
  int exact = 0, refused = 0;
  for (std::string line; std::getline(lines, line);) {
    const Json golden = Json::parse(line);
    std::optional<Tokenizer> tokenizer;
    try {
      tokenizer.emplace(golden["tokenizer"], "random");
    } catch (const InputError& error) {
      const std::string why = error.what();
      EXPECT_TRUE(why.find("UnicodeScripts") != std::string::npos ||
                  why.find("'first' behind another") != std::string::npos)
          << why;
      ++refused;
      continue;
    }
    for (const Json& one : golden["cases"]) {
      const std::string text = one["input"];
      const Encoding encoding = tokenizer->encode(text, Special::add);
      EXPECT_EQ(encoding.ids, one["ids"].get<Tokens>()) << one;
      EXPECT_EQ(encoding.type_ids, one["types"].get<Tokens>()) << one;
      EXPECT_EQ(tokenizer->encode(text, Special::leave_out).ids, one["plain"].get<Tokens>()) << one;
      EXPECT_EQ(tokenizer->decode(encoding.ids, Decoding::skip_special), one["text"].get<std::string>()) << one;
      EXPECT_EQ(tokenizer->decode(encoding.ids, Decoding::keep_special), one["whole"].get<std::string>()) << one;
      ++exact;
    }
  }
  EXPECT_GT(exact, 400);
  EXPECT_LT(refused, 6);
}

/// Small tokenizers of each family, trained for this test (tests/oracle/make_tokenizer_goldens.py).
class Family : public testing::TestWithParam<const char*> {};

TEST_P(Family, single_pair_and_decoded_are_exact) {
  const std::filesystem::path folder = std::filesystem::path(PROCTOR_SOURCE) / "tests/data/tokenizers";
  const std::string name = GetParam();
  const Counts counts = expect_exact(folder / (name + ".json"), folder / (name + ".golden.jsonl.gz"));
  EXPECT_EQ(counts.singles, 72);
  EXPECT_EQ(counts.pairs, 4);
}
INSTANTIATE_TEST_SUITE_P(Tokenizer, Family,
                         testing::Values("llama3", "qwen", "llama2", "gemma", "gpt_neox", "roberta", "bert", "t5",
                                         "xlm_roberta"));

/// Those of published models, whole.
class Published : public testing::TestWithParam<const char*> {};

TEST_P(Published, single_pair_and_decoded_are_exact) {
  const auto folder = kTokenizers / GetParam();
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  const auto file =
      std::filesystem::exists(folder / "tokenizer.json") ? folder / "tokenizer.json" : folder / "tokenizer.json.gz";
  const Counts counts = expect_exact(file, kTokenizers / "golden" / (std::string(GetParam()) + ".jsonl.gz"));
  EXPECT_EQ(counts.singles, 463);
  EXPECT_EQ(counts.pairs, 40);
}
INSTANTIATE_TEST_SUITE_P(Tokenizer, Published,
                         testing::Values("llama3_1", "qwen3", "llama2", "gemma3", "gpt-neox-20b-pythia",
                                         "bert-minilm-l6", "t5-small"));

Json bpe(const Json& vocabulary, const Json& merges) {
  return {{"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}}};
}

TEST(Tokenizer, merges_lowest_rank_first_and_leftmost_among_equals) {
  Tokenizer tokenizer(bpe({{"a", 0}, {"b", 1}, {"aa", 2}, {"ab", 3}}, {"a a", "a b"}), "t");
  EXPECT_EQ(tokenizer.encode("aaab", Special::add).ids, (Tokens{2, 3}));
  EXPECT_EQ(tokenizer.encode("aaa", Special::add).ids, (Tokens{2, 0}));
}

TEST(Tokenizer, a_suffix_marks_the_end_of_a_word) {
  Json json = bpe({{"a", 0}, {"b</w>", 1}, {"ab</w>", 2}}, {"a b</w>"});
  json["model"]["end_of_word_suffix"] = "</w>";
  json["decoder"] = {{"type", "BPEDecoder"}, {"suffix", "</w>"}};
  Tokenizer tokenizer(json, "t");
  EXPECT_EQ(tokenizer.encode("ab", Special::add).ids, Tokens{2});
  EXPECT_EQ(tokenizer.decode(Tokens{2, 2}, Decoding::keep_special), "ab ab");
}

TEST(Tokenizer, unknown_characters_fuse_or_fall_back_to_bytes) {
  Json json = bpe({{"<unk>", 0}, {"a", 1}}, Json::array());
  json["model"]["unk_token"] = "<unk>";
  EXPECT_EQ(Tokenizer(json, "t").encode("xya", Special::add).ids, (Tokens{0, 0, 1}));
  json["model"]["fuse_unk"] = true;
  EXPECT_EQ(Tokenizer(json, "t").encode("xya", Special::add).ids, (Tokens{0, 1}));
  json["model"]["byte_fallback"] = true;
  json["model"]["vocab"]["<0x78>"] = 2;
  EXPECT_EQ(Tokenizer(json, "t").encode("xa", Special::add).ids, (Tokens{2, 1}));
}

TEST(Tokenizer, a_word_that_pieces_cannot_make_is_unknown_as_a_whole) {
  const Json json = {{"model",
                      {{"type", "WordPiece"},
                       {"vocab", {{"[UNK]", 0}, {"ab", 1}, {"a", 2}, {"##c", 3}, {"##b", 4}}},
                       {"max_input_chars_per_word", 4}}},
                     {"pre_tokenizer", {{"type", "BertPreTokenizer"}}}};
  Tokenizer tokenizer(json, "t");
  EXPECT_EQ(tokenizer.encode("abc ac", Special::add).ids, (Tokens{1, 3, 2, 3}));
  EXPECT_EQ(tokenizer.encode("abd a", Special::add).ids, (Tokens{0, 2})) << "nothing of abd is left";
  EXPECT_EQ(tokenizer.encode("acccc", Special::add).ids, (Tokens{0})) << "too long a word";
}

TEST(Tokenizer, unigram_takes_the_likeliest_cut_and_fuses_what_is_unknown) {
  Json json = Json::parse(R"({"model": {"type": "Unigram", "unk_id": 0, "vocab":
      [["<unk>", 0], ["a", -1], ["b", -1], ["ab", -1.5], ["abc", -9], ["c", -3]]}})");
  EXPECT_EQ(Tokenizer(json, "t").encode("abc", Special::add).ids, (Tokens{3, 5}));
  EXPECT_EQ(Tokenizer(json, "t").encode("axyb", Special::add).ids, (Tokens{1, 0, 2}));
  EXPECT_EQ(Tokenizer(json, "t").encode("xy", Special::add).ids, (Tokens{0}));
  json["model"]["byte_fallback"] = true;
  json["model"]["vocab"].push_back(Json::array({"<0x78>", -5.0}));
  EXPECT_EQ(Tokenizer(json, "t").encode("xa", Special::add).ids, (Tokens{6, 1}));
  json["model"]["unk_id"] = nullptr;
  EXPECT_THROW(Tokenizer(json, "t").encode("z", Special::add), InputError);
}

/// T5's scores: as nearest doubles both cuts of each text sum alike; as serde_json reads them one is a bit less.
TEST(Tokenizer, of_unigram_cuts_that_sum_alike_it_takes_the_librarys) {
  const Json json = Json::parse(R"({"model": {"type": "Unigram", "unk_id": 0, "vocab":
      [["<unk>", 0], ["_", -2.0122928619384766], ["g", -7.407997131347656], ["gg", -10.809488296508789]]}})");
  EXPECT_EQ(Tokenizer(json, "t").encode("_ggg", Special::add).ids, (Tokens{1, 2, 3}));
  EXPECT_EQ(Tokenizer(json, "t").encode("_ggggg", Special::add).ids, (Tokens{1, 3, 3, 2}));
  EXPECT_EQ(Tokenizer(json, "t").encode("_ggggggg", Special::add).ids, (Tokens{1, 3, 3, 2, 3}));
}

TEST(Tokenizer, classes_hold_what_became_alphabetic_after_unicode_14) {
  Json json = bpe({{"X", 0}}, Json::array());
  json["normalizer"] = {{"type", "Replace"}, {"pattern", {{"Regex", "[[:alpha:]]+|[[:lower:]]+"}}}, {"content", "X"}};
  Tokenizer tokenizer(json, "t");
  for (const char* text : {"\u0363", "\u036f", "\u0c04", "\u0f82", "\u1dd3", "\u1de6", "\u10fc", "\ua7f2", "\uab69"})
    EXPECT_EQ(tokenizer.encode(text, Special::add).ids, Tokens{0}) << text;
}

/// tokenizers gives "<m>" 2; the model's own token of that id, which its file means, is what the model writes.
TEST(Tokenizer, an_id_that_two_tokens_claim_is_decoded_as_the_vocabularys) {
  Json json = bpe({{"a", 0}, {"b", 2}}, Json::array());
  json["added_tokens"] = {{{"id", 1}, {"content", "<m>"}, {"special", true}}};
  Tokenizer tokenizer(json, "t");
  EXPECT_EQ(tokenizer.encode("<m>a", Special::add).ids, (Tokens{2, 0}));
  EXPECT_EQ(tokenizer.decode(Tokens{2, 0}, Decoding::skip_special), "b a");
}

TEST(Tokenizer, added_tokens_strip_the_space_they_say) {
  Json json = bpe({{"a", 0}, {" ", 1}}, Json::array());
  json["added_tokens"] = {{{"id", 9}, {"content", "<m>"}, {"lstrip", true}, {"rstrip", true}, {"special", true}}};
  Tokenizer tokenizer(json, "t");
  EXPECT_EQ(tokenizer.encode("a  <m> a", Special::add).ids, (Tokens{0, 2, 0})) << "the next id, whatever it says";
  json["added_tokens"].push_back({{"id", 9}, {"content", "  b"}, {"special", true}});
  EXPECT_EQ(Tokenizer(json, "t").encode("a<m>  ba", Special::add).ids, (Tokens{0, 2, 3, 0}))
      << "white space that one took is another's, too";
  json["added_tokens"].erase(1);
  json["added_tokens"][0]["single_word"] = true;
  EXPECT_EQ(Tokenizer(json, "t").encode("a<m>", Special::add).ids, Tokens{0}) << "inside a word it is text";
}

TEST(Tokenizer, the_last_of_equal_merges_counts) {
  Tokenizer tokenizer(bpe({{"a", 0}, {"b", 1}, {"c", 2}, {"ab", 3}, {"bc", 4}}, {"a b", "b c", "a b"}), "t");
  EXPECT_EQ(tokenizer.encode("abc", Special::add).ids, (Tokens{0, 4}));
}

TEST(Tokenizer, names_what_it_does_not_support) {
  const auto refusal = [](const Json& json) {
    try {
      Tokenizer tokenizer(json, "file.json");
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(refusal({{"model", {{"type", "Letters"}}}}),
            "file.json: tokenizer model 'Letters' is not known (BPE, WordPiece, WordLevel and Unigram are)");
  EXPECT_NE(refusal({{"model", {{"type", "WordPiece"}, {"vocab", {{"a", 0}}}}}}).find("unknown token '[UNK]'"),
            std::string::npos);
  EXPECT_NE(refusal({{"model", {{"type", "WordLevel"}, {"vocab", {{"a", 0}}}}}}).find("unknown token '<unk>'"),
            std::string::npos);
  EXPECT_NE(refusal(Json::parse(R"({"model": {"vocab": [["a", -1]], "unk_id": 1}})")).find("unk_id 1"),
            std::string::npos);
  Json json = bpe({{"a", 0}}, Json::array());
  json["normalizer"] = {{"type", "NFX"}};
  EXPECT_NE(refusal(json).find("normalizer 'NFX'"), std::string::npos);
  for (const char* map : {"!", "", "CAAAAAAAAAA="}) {
    json["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", map}};
    EXPECT_NE(refusal(json).find("precompiled_charsmap"), std::string::npos) << map;
  }
  EXPECT_NE(refusal(bpe({{"a", 0}}, {"a b"})).find("merge 'a' + 'b'"), std::string::npos);
  EXPECT_NE(refusal(bpe({{"a", -1}}, Json::array())).find("id -1"), std::string::npos);
  EXPECT_NE(refusal(Json::object()).find("not a tokenizer.json"), std::string::npos);
}

TEST(Tokenizer, refuses_text_that_is_not_utf8) {
  EXPECT_THROW(Tokenizer(bpe({{"a", 0}}, Json::array()), "t").encode("\xff", Special::add), InputError);
}

TEST(Unicode, replaces_every_maximal_invalid_part_once) {
  EXPECT_EQ(utf8_lossy("a\xe2\x82z"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(utf8_lossy("\xf0\x9f\x98"), "\xEF\xBF\xBD");
  EXPECT_EQ(utf8_lossy("\xff\xff"), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(utf8_lossy("\xed\xa0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD") << "surrogates are no UTF-8";
}

}  // namespace
}  // namespace proctor
