// Every kind that scores a query and a passage, against the numbers of its reference
// (tests/oracle/make_rerank_goldens.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "sharding/protocol/error.h"
#include "tests/worker/support/goldens.h"
#include "tests/worker/support/members.h"
#include "tests/worker/support/tolerance.h"
#include "worker/checkpoint/text_codec.h"
#include "worker/kinds/kinds.h"
#include "worker/models/relative_positions.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

Json rerank_goldens() { return goldens("rerank_goldens.json"); }

std::vector<Response> answers(const Module& module, const std::vector<Request>& requests, std::int64_t batch_tokens,
                              std::vector<std::uint32_t> isolated = {}, std::vector<std::uint32_t> aside = {}) {
  const auto device = make_cpu_device();
  const auto solo = make_solo_communicator();
  BatchCleanup cleanup({}, *device);
  return find_kind(module.kind)
      .open(module, *device, *solo, kQuiet)
      ->run({requests, batch_tokens, isolated, aside}, cleanup, kQuiet);
}

/// Best first.
std::vector<std::size_t> order(const std::vector<double>& scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](std::size_t i) { return scores[i]; });
  return order;
}

std::string name_of(const Json& golden) {
  return golden["kind"].dump() + golden["model"].dump() + golden.value("options", Json()).dump();
}

/// Of a score: a log-probability, a sum of cosines or a logit, each relative to its size.
double tolerance_of(double score) { return std::max(1.0, std::abs(score)) * rounding_of_log_probability(1); }

TEST(Rerank, scores_and_order_are_the_references_at_every_batch_size) {
  const Json all = rerank_goldens();
  const std::vector<Request> requests = pairs_of(all);
  for (const Json& golden : all["cases"])
    for (const std::int64_t batch_tokens : {1, 256, 8192}) {
      const std::vector<Response> got = answers(module_of(golden), requests, batch_tokens);
      std::vector<double> scores;
      for (std::size_t i = 0; i < requests.size(); ++i) {
        ASSERT_EQ(got[i].error, "") << name_of(golden);
        scores.push_back(pair_score(got[i]));
        EXPECT_NEAR(scores[i], golden["scores"][i].get<double>(), tolerance_of(golden["scores"][i]))
            << name_of(golden) << " " << i;
      }
      EXPECT_EQ(order(scores), order(golden["scores"].get<std::vector<double>>())) << name_of(golden);
    }
}

TEST(Rerank, colbert_takes_padding_tokens_in_a_text_as_colbert_ai_does) {
  const Json golden = rerank_goldens()["written_padding"];
  const std::vector<Response> got = answers(module_of(golden), pairs_of(golden), 256);
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(pair_score(got[i]), golden["scores"][i].get<double>(), tolerance_of(golden["scores"][i])) << i;
}

TEST(Rerank, scores_are_the_references_in_gangs_of_two_and_four) {
  const Json all = rerank_goldens();
  const std::vector<Request> requests = pairs_of(all);
  for (const Json& golden : all["cases"])
    for (const std::uint32_t size : {2u, 4u})
      expect_well(Members(size).run([&](Communicator& gang) {
        const auto device = make_cpu_device();
        BatchCleanup cleanup({}, *device);
        const Module module = module_of(golden);
        const auto got =
            find_kind(module.kind).open(module, *device, gang, kQuiet)->run({requests, 256}, cleanup, kQuiet);
        for (std::size_t i = 0; i < requests.size(); ++i)
          EXPECT_NEAR(pair_score(got[i]), golden["scores"][i].get<double>(), tolerance_of(golden["scores"][i]))
              << name_of(golden) << " " << i << " of " << size;
      }));
}

TEST(Rerank, a_batch_runs_request_by_request_and_without_what_is_set_aside) {
  const Json all = rerank_goldens();
  const std::vector<Request> requests = pairs_of(all);
  for (const Json& golden : all["cases"]) {
    if (golden["kind"] == "rankgpt" || golden.value("options", Json::object()).contains("activation"))
      continue;  // passages matter to each other
    const auto whole = answers(module_of(golden), requests, 8192),
               apart = answers(module_of(golden), requests, 8192, {0, 1}, {3});
    for (std::size_t i = 0; i < requests.size(); ++i) {
      if (i == 3)
        EXPECT_FALSE(has_answer(apart[i])) << name_of(golden);
      else
        EXPECT_NEAR(pair_score(whole[i]), pair_score(apart[i]), tolerance_of(golden["scores"][i]))
            << name_of(golden) << i;
    }
  }
}

/// The request that stands for a query takes it along; one that does not takes only itself.
TEST(Rerank, a_query_set_aside_costs_its_own_passages) {
  const std::vector<Request> requests = pairs_of(rerank_goldens());
  const Module colbert = module_of({{"kind", "colbert"}, {"model", "colbert"}});
  const auto got = answers(colbert, requests, 8192, {0}, {0});
  for (std::size_t i = 1; i < 5; ++i) EXPECT_EQ(got[i].error, "its query was set aside with another passage");
  for (std::size_t i = 5; i < 10; ++i) EXPECT_EQ(got[i].error, "");
  const Module rankgpt = module_of({{"kind", "rankgpt"}, {"model", "llama_long"}});
  const auto order = answers(rankgpt, requests, 8192, {0}, {2});
  for (std::size_t i = 0; i < 5; ++i)
    EXPECT_EQ(order[i].error, i == 2 ? "" : "another passage of its query was set aside");
  for (std::size_t i = 5; i < 10; ++i) EXPECT_TRUE(order[i].error.empty() && has_answer(order[i]));
}

std::string refusal(const std::string& kind, const std::string& model, Json options = Json::object()) {
  const Module module = module_of({{"kind", kind}, {"model", model}, {"options", options}});
  try {
    const ModelFolder folder = read_model_folder(module.path);
    TextCodec codec(folder, std::nullopt);
    find_kind(kind).check(folder, codec, module);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Rerank, options_and_heads_are_judged_before_anything_starts) {
  EXPECT_EQ(refusal("colbert", "colbert"), "accepted");
  EXPECT_NE(refusal("colbert", "bert").find("has no projection"), std::string::npos);
  EXPECT_EQ(refusal("colbert", "bert", {{"compat", "autorag"}}), "accepted");
  EXPECT_NE(refusal("colbert", "bert", {{"compat", "ragatouille"}}).find("reference or autorag"), std::string::npos);
  EXPECT_NE(refusal("monot5", "t5", {{"tokens", {"▁wrong", "▁true"}}}).find("no token '▁wrong'"), std::string::npos);
  EXPECT_NE(refusal("monot5", "t5", {{"tokens", 3}}).find("option tokens cannot be 3"), std::string::npos);
  EXPECT_NE(refusal("llm_reranker", "llama", {{"normalize", "very"}}).find("option normalize"), std::string::npos);
  EXPECT_NE(refusal("cross_encoder", "bert_pairs", {{"activation", "relu"}}).find("option activation"),
            std::string::npos);
  EXPECT_NE(refusal("cross_encoder", "bert_pairs", {{"activation", "softmax"}}).find("softmax of one output"),
            std::string::npos);
  EXPECT_NE(refusal("rankgpt", "llama", {{"window", 2.5}}).find("option window cannot be 2.5"), std::string::npos);
  EXPECT_NE(refusal("rankgpt", "llama", {{"window", 2}, {"step", 3}}).find("a step one to"), std::string::npos);
  EXPECT_EQ(refusal("embedding", "llama"), "accepted") << "a plain ...ForCausalLM is pooled by its last token";
}

TEST(Rerank, limits_of_the_model_are_judged_too) {
  const auto refused = [](const std::string& kind, const std::string& model,
                          const std::function<void(Module&)>& change) {
    Module module = module_of({{"kind", kind}, {"model", model}});
    change(module);
    const ModelFolder folder = read_model_folder(module.path);
    TextCodec codec(folder, std::nullopt);
    try {
      find_kind(kind).check(folder, codec, module);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(refused("cross_encoder", "bert_pairs", [](Module& m) { m.max_length = 65; }).find("past the 64 positions"),
            std::string::npos);
  EXPECT_NE(refused("monot5", "t5", [](Module& m) { m.dtype = DType::float16; }).find("overflows in float16"),
            std::string::npos);
  EXPECT_NE(refused("upr", "t5", [](Module& m) { m.add_bos_token = true; }).find("add_bos_token is not read"),
            std::string::npos);
  for (const auto& [kind, model] : {std::pair("colbert", "colbert"), {"embedding", "bert"}, {"monot5", "t5"}})
    EXPECT_NE(refused(kind, model, [](Module& m) { m.max_length = 2; }).find("cut to 2 tokens, below 3"),
              std::string::npos);
}

/// What the plan and the results say: of how many tokens a text, or query and passage together, is computed.
TEST(Kinds, tell_their_max_length) {
  const auto told = [](const std::string& kind, const std::string& model, std::optional<std::int64_t> given = {}) {
    Module module = module_of({{"kind", kind}, {"model", model}});
    module.max_length = given;
    const ModelFolder folder = read_model_folder(module.path);
    TextCodec codec(folder, std::nullopt);
    return find_kind(kind).check(folder, codec, module);
  };
  EXPECT_EQ(told("generator", "llama_long"), 4096);
  EXPECT_EQ(told("generator", "llama_long", 100), 100);
  EXPECT_EQ(told("llm_reranker", "llama_long"), 512) << "FlagEmbedding's";
  EXPECT_EQ(told("rankgpt", "llama_long", 300), 300);
  EXPECT_EQ(told("monot5", "t5"), 512) << "the papers', past the tokenizer's 64";
  EXPECT_EQ(told("upr", "t5", 40), 40);
  EXPECT_EQ(told("cross_encoder", "bert_pairs"), 64);
  EXPECT_EQ(told("colbert", "colbert"), 48) << "doc_maxlen";
  EXPECT_EQ(told("embedding", "bert"), 24) << "max_seq_length of sentence_bert_config.json";
  EXPECT_EQ(told("embedding", "bert", 30), 30);
}

/// Mesh TensorFlow's rule: exact up to a quarter of the buckets on each side, then logarithmic up to max_distance.
TEST(T5, buckets_of_positions) {
  EXPECT_EQ(t5_bucket(0, true, 32, 128), 0);
  EXPECT_EQ(t5_bucket(-7, true, 32, 128), 7);
  EXPECT_EQ(t5_bucket(7, true, 32, 128), 23);
  EXPECT_EQ(t5_bucket(-8, true, 32, 128), 8);
  EXPECT_EQ(t5_bucket(-127, true, 32, 128), 15);
  EXPECT_EQ(t5_bucket(4000, true, 32, 128), 31);
  EXPECT_EQ(t5_bucket(5, false, 32, 128), 0) << "a decoder's later keys have no bucket of their own";
  EXPECT_EQ(t5_bucket(-15, false, 32, 128), 15);
  EXPECT_EQ(t5_bucket(-128, false, 32, 128), 31);
}

}  // namespace
}  // namespace proctor
