#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <set>

#include "orchestrator/retrievers/retriever.h"
#include "orchestrator/retrievers/retriever_thread.h"
#include "orchestrator/retrievers/text_tokens.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::json;
constexpr double kFloat = 2e-6;  // of a score's size: bm25s computes in float32, and weights are float32 here

Request query(const std::string& text) { return {{text}, Retrieve{"q", {}}}; }
Request rankings(std::vector<std::vector<Ranked>> lists) { return {{}, Retrieve{"q", std::move(lists)}}; }
std::vector<std::string> ids_of(const std::vector<Ranked>& ranking) {
  std::vector<std::string> ids;
  for (const Ranked& one : ranking) ids.push_back(one.passage);
  return ids;
}
std::string refusal(const std::string& kind, const Json& options) {
  try {
    check_retriever(kind, options);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

/// tools/compare_retrieval --goldens: bm25s 0.2.14 and rank_bm25 0.2.2, the words of bm25s and of NLTK's stemmer.
TEST(Bm25, is_bm25ss_and_rank_bm25s) {
  Json goldens;
  std::ifstream(PROCTOR_SOURCE "/tests/data/goldens/bm25.json") >> goldens;
  std::vector<Passage> corpus;
  for (const auto& text : goldens.at("corpus")) corpus.push_back({"p" + std::to_string(corpus.size()), text});
  std::set<std::string> methods;
  for (const Json& one : goldens.at("cases")) {
    methods.insert(one.at("options").at("method").get<std::string>());
    const auto ranking = open_retriever("bm25", one.at("options"), corpus)->retrieve(query(one.at("query")));
    const Json& scores = one.at("scores");
    ASSERT_EQ(ranking.size(), scores.size()) << one.dump();
    double last = std::numeric_limits<double>::infinity();
    for (const Ranked& found : ranking) {
      const double wanted = scores.at(found.passage);
      EXPECT_NEAR(found.score, wanted, kFloat * std::max(1.0, std::abs(wanted))) << one.dump();
      EXPECT_LE(found.score, last + kFloat);
      last = found.score;
    }
  }
  EXPECT_EQ(methods.size(), 6u);
}

TEST(Bm25, finds_what_shares_a_word_and_among_equals_the_later_name) {
  const std::vector<Passage> corpus = {{"a", "red house"}, {"b", "red house"}, {"c", "blue house"}, {"d", ""}};
  const auto bm25 = open_retriever("bm25", Json::object(), corpus);
  EXPECT_EQ(ids_of(bm25->retrieve(query("Red"))), (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(ids_of(bm25->retrieve(query("red blue"))), (std::vector<std::string>{"c", "b", "a"}));
  EXPECT_EQ(ids_of(bm25->retrieve(query("red"))), (std::vector<std::string>{"b", "a"})) << "nothing stays of a query";
  EXPECT_TRUE(bm25->retrieve(query("green, a the")).empty());
  EXPECT_TRUE(open_retriever("bm25", Json::object(), {})->retrieve(query("red")).empty());
}

TEST(Bm25, ranks_no_more_than_are_measured) {
  std::vector<Passage> corpus;
  for (int i = 0; i < 1500; ++i) corpus.push_back({std::to_string(i), i == 700 ? "red red" : "red house"});
  const auto ranking = open_retriever("bm25", Json::object(), corpus)->retrieve(query("red"));
  ASSERT_EQ(ranking.size(), 1000u);
  EXPECT_EQ(ranking.front().passage, "700");
}

TEST(TextTokens, are_cut_in_three_ways) {
  using Words = std::vector<std::string>;
  const std::string text = "The Runners aren't running: caf\u00e9s, running 7x \uc11c\uc6b8\uc740!";
  EXPECT_EQ(text_tokens(text, TextTokenizer::words),
            (Words{"runners", "aren", "running", "caf\u00e9s", "running", "7x", "\uc11c\uc6b8\uc740"}));
  EXPECT_EQ(text_tokens(text, TextTokenizer::porter),
            (Words{"runner", "run", "caf\u00e9", "7x", "\uc11c\uc6b8\uc740"}));
  EXPECT_EQ(text_tokens(text, TextTokenizer::space),
            (Words{"runners", "arent", "running", "caf\u00e9s", "running", "7x", "\uc11c\uc6b8\uc740"}));
}

const std::vector<Ranked> kDense = {{"a", 0.9}, {"b", 0.5}, {"c", 0.5}}, kWords = {{"c", 8}, {"d", 2}};

TEST(Fusion, by_reciprocal_ranks) {
  const auto ranking = open_retriever("fusion", Json::object(), {})->retrieve(rankings({kDense, kWords}));
  EXPECT_EQ(ids_of(ranking), (std::vector<std::string>{"c", "a", "d", "b"}))
      << "d and b are both second, the later name first";
  EXPECT_DOUBLE_EQ(ranking[0].score, 1.0 / 62 + 1.0 / 61) << "b and c share the second rank";
  const auto weighted =
      open_retriever("fusion", {{"k", 4}, {"weights", {1, 0}}}, {})->retrieve(rankings({kDense, kWords}));
  EXPECT_DOUBLE_EQ(weighted[0].score, 1.0 / 5);
  EXPECT_EQ(weighted.back(), (Ranked{"d", 0}));
}

TEST(Fusion, by_normalized_scores) {
  const auto fused = [](Json options, const std::string& passage) {
    options["method"] = "convex";
    for (const Ranked& one : open_retriever("fusion", options, {})->retrieve(rankings({kDense, kWords})))
      if (one.passage == passage) return one.score;
    return std::nan("");
  };
  EXPECT_DOUBLE_EQ(fused(Json::object(), "a"), 0.5);
  EXPECT_DOUBLE_EQ(fused(Json::object(), "c"), 0.5);
  EXPECT_DOUBLE_EQ(fused({{"weights", {0.2, 0.8}}}, "c"), 0.8);
  EXPECT_DOUBLE_EQ(fused({{"normalize", "tmm"}, {"minimums", {-1, 0}}}, "c"), 0.5 * 1.5 / 1.9 + 0.5);
  EXPECT_NEAR(fused({{"normalize", "z"}}, "a"), 0.5 * std::sqrt(2.0), 1e-12)
      << "0.9 is sqrt(2) deviations above the mean";
  EXPECT_NEAR(fused({{"normalize", "dbsf"}}, "d"), 0.5 * (-1 + 3) / 6.0, 1e-12);
  const std::vector<Ranked> flat = {{"a", 3}, {"b", 3}};
  for (const char* how : {"min_max", "z", "dbsf"})
    EXPECT_EQ(open_retriever("fusion", {{"method", "convex"}, {"normalize", how}}, {})
                  ->retrieve(rankings({flat, {}}))
                  .at(0)
                  .score,
              0)
        << how;
  EXPECT_TRUE(open_retriever("fusion", Json::object(), {})->retrieve(rankings({{}, {}})).empty());
}

TEST(Filter, leaves_one_at_least) {
  const auto kept = [](const Json& options) {
    return ids_of(open_retriever("filter", options, {})->retrieve(rankings({kDense})));
  };
  using Ids = std::vector<std::string>;
  EXPECT_EQ(kept({{"threshold", 0.5}}), (Ids{"a", "b", "c"}));
  EXPECT_EQ(kept({{"threshold", 0.6}}), (Ids{"a"}));
  EXPECT_EQ(kept({{"threshold", 2}}), (Ids{"a"}));
  EXPECT_EQ(kept({{"threshold", 0.5}, {"reverse", true}}), (Ids{"b", "c"}));
  EXPECT_EQ(kept({{"percentile", 0.7}}), (Ids{"a", "b"}));
  EXPECT_EQ(kept({{"percentile", 0}}), (Ids{"a"}));
  EXPECT_EQ(kept({{"top", 2}}), (Ids{"a", "b"}));
  EXPECT_EQ(kept({{"top", 9}}), (Ids{"a", "b", "c"}));
  EXPECT_TRUE(open_retriever("filter", {{"top", 2}}, {})->retrieve(rankings({{}})).empty());
}

TEST(RetrieverOptions, are_refused_by_name) {
  const std::vector<std::tuple<const char*, Json, const char*>> wrong = {
      {"bm25", {{"k1", -1}}, "k1: expected a number of at least 0.0, found -1"},
      {"bm25", {{"b", 1.5}}, "b: expected a number from 0.0 to 1.0, found 1.5"},
      {"bm25", {{"b", "x"}}, "b: expected a number from 0.0 to 1.0, found \"x\""},
      {"bm25",
       {{"method", "bm52"}},
       "method: expected lucene, robertson, atire, bm25l, bm25+ or okapi, found \"bm52\""},
      {"bm25", {{"delta", 1}}, "delta: is of methods bm25l and bm25+; lucene does not read it"},
      {"bm25", {{"tokenizer", 3}}, "tokenizer: expected words, porter or space, found 3"},
      {"fusion", {{"normalize", "z"}}, "normalize: does nothing but with method: convex"},
      {"fusion", {{"method", "convex"}, {"k", 5}}, "k: does nothing but with method: rrf"},
      {"fusion", {{"method", "convex"}, {"normalize", "tmm"}}, "minimums: is missing"},
      {"fusion", {{"weights", {1, "x"}}}, "weights: expected a list of numbers"},
      {"fusion", {{"weights", {1, -1}}}, "weights: expected numbers of at least 0"},
      {"filter", Json::object(), "expected one of threshold"},
      {"filter", {{"top", 2}, {"threshold", 1}}, "expected one of threshold"},
      {"filter", {{"top", 1.5}}, "top: expected a whole number of passages"},
      {"filter", {{"top", 1}, {"reverse", 1}}, "reverse: expected true or false, found 1"}};
  for (const auto& [kind, options, said] : wrong)
    EXPECT_NE(refusal(kind, options).find(said), std::string::npos) << refusal(kind, options);
  EXPECT_EQ(refusal("bm25", {{"method", "bm25+"}, {"delta", 1}, {"b", 0}}), "accepted");
  EXPECT_NO_THROW(check_rankings("fusion", {{"weights", {1, 2}}}, 2));
  EXPECT_THROW(check_rankings("fusion", {{"weights", {1, 2}}}, 3), UsageError);
}

TEST(RetrieverThread, answers_shards_in_their_order_and_fails_by_name) {
  RetrieverThread thread;
  const auto corpus = std::make_shared<std::vector<Passage>>(std::vector<Passage>{{"a", "red"}, {"b", "blue"}});
  for (std::uint32_t s = 0; s < 3; ++s)
    thread.put({ShardId{s}, "bm25", Json::object(), corpus, {query("red"), query("blue")}});
  thread.put({ShardId{3}, "bm25", Json::object(), corpus, {rankings({})}});  // without a text
  std::vector<std::pair<ShardId, std::vector<Response>>> all;
  while (all.size() < 4)
    for (auto& one : thread.take()) all.push_back(std::move(one));
  for (std::uint32_t s = 0; s < 3; ++s) {
    EXPECT_EQ(all[s].first, ShardId{s});
    EXPECT_EQ(ids_of(std::get<RetrieveAnswer>(all[s].second.at(1).answer).passages), (std::vector<std::string>{"b"}));
  }
  EXPECT_FALSE(all[3].second.at(0).error.empty());
  thread.put({ShardId{4}, "bm25", Json::object(), corpus, {query("red")}});  // is dropped, or answered, with the thread
}

}  // namespace
}  // namespace proctor
