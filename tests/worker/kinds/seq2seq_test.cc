// The kind `generator` of encoder-decoders against lm-eval's `hf` model (tests/oracle/make_seq2seq_goldens.py), at
// every batch size, by one worker and by a gang.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>

#include "sharding/planning/tensor_parallel.h"
#include "tests/worker/support/goldens.h"
#include "tests/worker/support/members.h"
#include "tests/worker/support/tolerance.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/kinds/kinds.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

const Json& seq2seq_goldens() {
  static const Json json = goldens("seq2seq_goldens.json");
  return json;
}

Module module_named(const std::string& model, const Json& more = Json::object()) {
  Module module;
  module.name = "m";
  module.kind = "generator";
  module.path = tiny_model("seq2seq-" + model);
  module.dtype = DType::float32;
  if (more.contains("max_length")) module.max_length = more["max_length"].get<std::int64_t>();
  if (more.contains("add_bos_token")) module.add_bos_token = more["add_bos_token"].get<bool>();
  return module;
}

/// As lm-eval's Instance has it.
Request request_of(const Json& json) {
  if (json.contains("continuation"))
    return {{json["context"].get<std::string>(), json["continuation"].get<std::string>()}, Loglikelihood{}};
  if (json.contains("text")) return {{json["text"].get<std::string>()}, LoglikelihoodRolling{}};
  Generate ask{json["until"].get<std::vector<std::string>>(), json["max_gen_toks"].get<std::int64_t>()};
  if (json.contains("repetition_penalty")) ask.repetition_penalty = json["repetition_penalty"].get<double>();
  return {{json["context"].get<std::string>()}, ask};
}

/// Those that all models have, and its own.
std::vector<Request> requests_of(const std::string& model) {
  std::vector<Request> requests;
  for (const Json& one : seq2seq_goldens()["requests"]) requests.push_back(request_of(one));
  for (const Json& one : seq2seq_goldens()["models"][model]["own"]) requests.push_back(request_of(one));
  return requests;
}

std::vector<Response> answers(const Module& module, const std::vector<Request>& requests, std::int64_t batch_tokens,
                              Communicator& gang, std::vector<std::uint32_t> isolated = {},
                              std::vector<std::uint32_t> aside = {}) {
  const auto device = make_cpu_device();
  BatchCleanup cleanup({}, *device);
  return find_kind(module.kind)
      .open(module, *device, gang, kQuiet)
      ->run({requests, batch_tokens, isolated, aside}, cleanup, kQuiet);
}

std::vector<Response> answers(const Module& module, const std::vector<Request>& requests, std::int64_t batch_tokens,
                              std::vector<std::uint32_t> isolated = {}, std::vector<std::uint32_t> aside = {}) {
  const auto solo = make_solo_communicator();
  return answers(module, requests, batch_tokens, *solo, std::move(isolated), std::move(aside));
}

/// Of a token's log-probability, which has a logit and a log-sum-exp of logits: by width, depth and the largest logit.
double tolerance_of_token(const std::string& model) {
  const Json& golden = seq2seq_goldens()["models"][model];
  const Json& c = golden["config"];
  std::int64_t width = 0, depth = 0;
  for (const char* key : {"d_model", "d_ff", "encoder_ffn_dim", "decoder_ffn_dim"})
    width = std::max(width, c.value(key, std::int64_t{0}));
  if (c.contains("d_kv")) width = std::max(width, c["d_kv"].get<std::int64_t>() * c["num_heads"].get<std::int64_t>());
  for (const char* key : {"num_layers", "num_decoder_layers", "encoder_layers", "decoder_layers"})
    depth += c.value(key, std::int64_t{0});
  return 2 * golden["largest_logit"].get<double>() * rounding_of_network(at::kFloat, width, depth);
}

void expect_answer(const Response& got, const Json& expected, const Request& request, double tolerance,
                   const std::string& what) {
  if (expected.contains("error")) {  // lm-eval raises
    EXPECT_NE(got.error, "") << what;
    EXPECT_FALSE(has_answer(got)) << what;
    return;
  }
  ASSERT_EQ(got.error, "") << what;
  ASSERT_TRUE(answers(got.answer, request.ask)) << what;
  const auto tokens_of_reference = expected["tokens"].get<std::int64_t>();
  if (const auto* generated = std::get_if<GenerateAnswer>(&got.answer)) {
    EXPECT_EQ(generated->text, expected["text"].get<std::string>()) << what;
    EXPECT_EQ(generated->truncated, expected["truncated"].get<std::int64_t>()) << what;
    EXPECT_GE(generated->tokens, 1) << what;
    if (std::get<Generate>(request.ask).until.empty()) {  // else the reference looks for one late
      EXPECT_EQ(generated->tokens, tokens_of_reference) << what;
    }
    return;
  }
  const double allowed = static_cast<double>(tokens_of_reference) * tolerance;
  EXPECT_NEAR(log_likelihood(got), expected["sum"].get<double>(), allowed) << what;
  EXPECT_EQ(tokens(got), tokens_of_reference) << what;
  if (const auto* scored = std::get_if<LoglikelihoodAnswer>(&got.answer)) {
    EXPECT_EQ(scored->is_greedy, expected["greedy"].get<bool>()) << what;
    EXPECT_EQ(scored->truncated, expected["truncated"].get<std::int64_t>()) << what;
  }
}

void expect_answers(const std::vector<Response>& got, const Json& expected, const std::vector<Request>& requests,
                    const std::string& model, const std::string& how) {
  ASSERT_EQ(got.size(), requests.size()) << model;
  ASSERT_EQ(expected.size(), requests.size()) << model;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    std::string what = model + ", " + how + ", request " + std::to_string(i) + ":";
    for (std::size_t part = 0; part < requests[i].parts.size(); ++part)
      what += " '" + text_of(requests[i], part).substr(0, 40) + "'";
    expect_answer(got[i], expected[i], requests[i], tolerance_of_token(model), what);
  }
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& [name, golden] : seq2seq_goldens()["models"].items()) all.push_back(name);
  return all;
}

TEST(Seq2Seq, answers_are_lm_evals_at_every_batch_size) {
  for (const std::string& model : names()) {
    const std::vector<Request> requests = requests_of(model);
    for (const std::int64_t batch_tokens : {8, 64, 4096})
      expect_answers(answers(module_named(model), requests, batch_tokens),
                     seq2seq_goldens()["models"][model]["answers"], requests, model,
                     std::to_string(batch_tokens) + " tokens");
  }
}

TEST(Seq2Seq, answers_are_lm_evals_where_the_module_says_more) {
  for (const std::string& model : names())
    for (const Json& variant : seq2seq_goldens()["models"][model]["variants"]) {
      std::vector<Request> requests = requests_of(model);
      requests.resize(variant["answers"].size());
      expect_answers(answers(module_named(model, variant["module"]), requests, 64), variant["answers"], requests, model,
                     variant["module"].dump());
    }
}

TEST(Seq2Seq, each_request_alone_has_the_same_answer) {
  for (const std::string model : {"t5-1", "bart-1"}) {
    const std::vector<Request> requests = requests_of(model);
    std::vector<Response> alone;
    for (const Request& request : requests) alone.push_back(answers(module_named(model), {request}, 4096)[0]);
    expect_answers(alone, seq2seq_goldens()["models"][model]["answers"], requests, model, "alone");
  }
}

/// Every batch that a shard may have is isolated.
TEST(Seq2Seq, a_shard_runs_request_by_request_and_without_what_is_set_aside) {
  for (const std::string model : {"umt5-0", "bart_base-0"}) {
    const std::vector<Request> requests = requests_of(model);
    std::vector<std::uint32_t> all(2 * requests.size()), aside;
    for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
    for (std::uint32_t i = 0; i < requests.size(); i += 5) aside.push_back(i);
    const std::vector<Response> got = answers(module_named(model), requests, 64, all, aside);
    const Json& expected = seq2seq_goldens()["models"][model]["answers"];
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const std::string what = model + ", request " + std::to_string(i);
      if (i % 5 == 0)
        EXPECT_FALSE(has_answer(got[i])) << what;
      else
        expect_answer(got[i], expected[i], requests[i], tolerance_of_token(model), what);
    }
  }
}

/// Of each architecture at least one checkpoint is divided.
TEST(Seq2Seq, answers_are_lm_evals_in_a_gang_of_two) {
  std::map<std::string, bool> divided;
  for (const std::string& model : names()) {
    const bool can = !cannot_split(check_model(read_model_folder(tiny_model("seq2seq-" + model))), 2);
    divided[model.substr(0, model.rfind('-'))] |= can;
    if (!can) continue;
    const std::vector<Request> requests = requests_of(model);
    expect_well(Members(2).run([&](Communicator& gang) {
      expect_answers(answers(module_named(model), requests, 64, gang), seq2seq_goldens()["models"][model]["answers"],
                     requests, model, "member " + std::to_string(gang.rank()));
    }));
  }
  for (const auto& [family, can] : divided) EXPECT_TRUE(can) << family;
}

}  // namespace
}  // namespace proctor
