// Every family against transformers' numbers (tests/oracle/make_decoder_goldens.py), and the generator on top.
#include "worker/models/decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>

#include "tests/worker/support/goldens.h"
#include "tests/worker/support/tolerance.h"
#include "worker/attention/tree_attention.h"
#include "worker/checkpoint/families.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/inference/scoring.h"
#include "worker/kinds/kinds.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

Json decoder_goldens() { return goldens("decoder_goldens.json"); }

struct Loaded {
  ModelFolder files;
  std::unique_ptr<Communicator> solo = make_solo_communicator();
  Weights weights;
  Decoder decoder;
  explicit Loaded(const std::string& model, at::ScalarType type = at::kFloat)
      : files(read_model_folder(tiny_model(model))),
        weights(Checkpoint(tiny_model(model)), decoder_parameters(files.decoder), decoder_weight_sources(files.decoder),
                at::TensorOptions().dtype(type), kQuiet),
        decoder(files.decoder, weights, *solo) {}
  /// asked: as Decoder::Asked.
  at::Tensor logits(const std::vector<std::int64_t>& tokens,
                    std::optional<std::span<const TokenId>> asked = std::nullopt) {
    const at::NoGradGuard no_grad;
    const Batch batch = chain_batch({tokens.begin(), tokens.end()}, 0, tokens.size());
    const PrefixCache none(decoder);
    const TreeAttention attention(batch, decoder.config(), decoder.options(), none.keys());
    return decoder.logits(decoder.forward(batch.tokens, batch.positions, std::cref(attention), {.tokens = asked}));
  }
};

TEST(Decoder, the_tokens_asked_for_have_the_states_they_have_among_all) {
  const Json json = decoder_goldens();
  const auto tokens = json["tokens"].get<std::vector<std::int64_t>>();
  const std::vector<std::int32_t> some = {2, 0, 5};
  for (const auto& [model, golden] : json["models"].items()) {
    Loaded loaded(model);
    const at::Tensor all = loaded.logits(tokens), asked = loaded.logits(tokens, some);
    ASSERT_EQ(asked.size(0), 3);
    for (std::int64_t i = 0; i < 3; ++i)
      EXPECT_LT((asked[i] - all[some[static_cast<std::size_t>(i)]]).abs().max().item<float>(),
                kTinyLogit * rounding_of_network())
          << model;
    EXPECT_EQ(loaded.logits(tokens, std::span<const TokenId>()).size(0), 0);
  }
}

TEST(Decoder, what_nobody_asks_for_is_not_counted) {
  const auto tokens = decoder_goldens()["tokens"].get<std::vector<std::int64_t>>();
  const std::vector<std::int32_t> last = {static_cast<std::int32_t>(tokens.size()) - 1};
  Loaded all("llama-kv2"), one("llama-kv2");
  (void)all.logits(tokens);
  (void)one.logits(tokens, last);
  const DecoderConfig& config = all.decoder.config();
  const double rest = 2.0 * static_cast<double>(config.hidden) *
                      static_cast<double>(config.heads * config.head_dim + 3 * config.intermediate);
  const double head = 2.0 * static_cast<double>(config.hidden * config.vocabulary);
  EXPECT_DOUBLE_EQ(all.decoder.flops_computed() - one.decoder.flops_computed(),
                   static_cast<double>(tokens.size() - 1) * (rest + head));
}

TEST(Decoder, a_token_asked_for_twice_is_computed_and_counted_twice) {
  const std::vector<std::int32_t> once = {0}, often = {0, 0, 0, 0};
  Loaded one("llama-kv2"), four("llama-kv2");
  EXPECT_EQ(one.logits({5}, once).size(0), 1);
  EXPECT_EQ(four.logits({5}, often).size(0), 4);
  EXPECT_GT(four.decoder.flops_computed(), one.decoder.flops_computed());
  EXPECT_LT(four.decoder.flops_computed(), 4 * one.decoder.flops_computed());
}

TEST(Decoder, every_family_agrees_with_transformers_in_float32) {
  const Json json = decoder_goldens();
  const auto tokens = json["tokens"].get<std::vector<std::int64_t>>();
  for (const auto& [model, golden] : json["models"].items()) {
    const at::Tensor logits = Loaded(model).logits(tokens);
    for (std::size_t r = 0; r < json["rows"].size(); ++r)
      for (std::size_t i = 0; i < golden["logits"][r].size(); ++i)
        ASSERT_NEAR(logits[json["rows"][r].get<std::int64_t>()][static_cast<std::int64_t>(3 * i)].item<float>(),
                    golden["logits"][r][i].get<double>(), kTinyLogit * rounding_of_network())
            << model << " row " << r << " logit " << 3 * i;
  }
}

TEST(Decoder, counts_the_flops_of_products_and_of_attended_keys) {
  for (const char* model : {"llama", "mistral_window"}) {
    Loaded loaded(model);
    EXPECT_EQ(loaded.decoder.seconds_of_products(), 0);
    (void)loaded.logits(std::vector<std::int64_t>(20, 1));
    const DecoderConfig& c = loaded.files.decoder;
    const std::int64_t width = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
    const std::int64_t weights = c.hidden * (2 * width + 2 * kv + 3 * c.intermediate);
    std::int64_t flops = 20 * 2 * (c.layers * weights + c.hidden * c.vocabulary);
    for (std::int64_t window : c.windows)
      for (std::int64_t token = 0; token < 20; ++token)
        flops += 4 * width * (window ? std::min(token + 1, window) : token + 1);
    EXPECT_EQ(loaded.decoder.flops_computed(), static_cast<double>(flops)) << model;
    EXPECT_EQ(loaded.decoder.tokens_computed(), 20u);
    EXPECT_GT(loaded.decoder.seconds_of_products(), 0);
  }
}

TEST(Decoder, sixteen_bit_types_stay_near) {
  const auto tokens = decoder_goldens()["tokens"].get<std::vector<std::int64_t>>();
  const at::Tensor exact = Loaded("qwen3").logits(tokens);
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf})
    EXPECT_LT((Loaded("qwen3", type).logits(tokens) - exact).abs().max().item<float>(),
              kTinyLogit * rounding_of_network(type));
}

TEST(Rope, frequencies_are_powers_of_theta_and_linear_ones_are_divided) {
  Rope rope;
  rope.width = 8;
  EXPECT_NEAR(rope_inverse_frequencies(rope)[1].item<float>(), std::pow(10000.0, -2.0 / 8), 1e-7);
  rope.scaling = Rope::Scaling::linear;
  rope.factor = 4;
  EXPECT_NEAR(rope_inverse_frequencies(rope)[0].item<float>(), 0.25, 1e-7);
}

class GeneratorTest : public testing::Test {
 protected:
  std::vector<Response> run(const std::string& model, const std::vector<Request>& requests,
                            std::int64_t budget = 4096) {
    Module module;
    module.path = tiny_model(model);
    const auto open = find_kind("generator").open(module, *device_, *solo_, kQuiet);
    BatchCleanup cleanup({}, *device_);
    return open->run({requests, budget}, cleanup, kQuiet);
  }
  static Request score(const std::string& context, const std::string& continuation) {
    return {{context, continuation}, Loglikelihood{}};
  }
  static Request generate(const std::string& context, int count) { return {{context}, Generate{{"\x01"}, count}}; }
  std::unique_ptr<Device> device_ = make_cpu_device();
  std::unique_ptr<Communicator> solo_ = make_solo_communicator();
};

TEST_F(GeneratorTest, log_likelihoods_are_the_log_softmax_of_the_decoder) {
  const at::Tensor logits = Loaded("llama").logits({'a', 'b', 'c', 'd'});
  const at::Tensor log_p = logits.to(at::kDouble).log_softmax(1);
  const double expected = log_p[1]['c'].item<double>() + log_p[2]['d'].item<double>() + log_p[3]['e'].item<double>();
  const auto response = run("llama", {score("ab", "cde")}).at(0);
  EXPECT_NEAR(log_likelihood(response), expected, rounding_of_log_probability(3));
  EXPECT_EQ(tokens(response), 3);
}

TEST_F(GeneratorTest, answers_do_not_depend_on_the_batch_beyond_rounding) {
  std::vector<Request> requests;
  for (int i = 0; i < 12; ++i)
    requests.push_back(
        score("a question that is shared, number " + std::to_string(i / 4), " choice " + std::to_string(i)));
  const auto together = run("qwen2_window", requests);
  const auto apart = run("qwen2_window", requests, /*budget=*/1);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    EXPECT_NEAR(log_likelihood(together[i]), log_likelihood(apart[i]),
                rounding_of_log_probability(tokens(together[i])));
    EXPECT_EQ(std::get<LoglikelihoodAnswer>(together[i].answer).is_greedy,
              std::get<LoglikelihoodAnswer>(apart[i].answer).is_greedy);
  }
}

TEST_F(GeneratorTest, the_same_shard_gives_the_same_bytes) {
  std::vector<Request> requests;
  for (int i = 0; i < 9; ++i) requests.push_back(score("context " + std::to_string(i % 3), "x" + std::to_string(i)));
  const auto first = run("mistral_window", requests, 64), second = run("mistral_window", requests, 64);
  for (std::size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(first[i], second[i]);
}

TEST_F(GeneratorTest, greedy_text_is_transformers) {
  const Json json = decoder_goldens();
  const auto tokens = json["tokens"].get<Tokens>();
  for (const auto& [model, golden] : json["models"].items()) {
    std::string prompt = "<s>";
    for (std::size_t i = 1; i < tokens.size(); ++i) prompt += static_cast<char>(tokens[i]);
    std::string bytes;
    std::size_t count = 0;
    for (const auto& id : golden["greedy"]) {
      if (id == 257) break;  // the generator stops at EOS, the golden was told not to
      ++count;
      if (id < 256) bytes += static_cast<char>(id.get<int>());
    }
    const auto response =
        run(model, {generate(prompt, static_cast<int>(golden["greedy"].size())), generate("short", 3)}).at(0);
    const std::string& text = std::get<GenerateAnswer>(response.answer).text;
    EXPECT_GE(proctor::tokens(response), static_cast<std::int64_t>(count)) << model;
    const bool plain = std::all_of(bytes.begin(), bytes.end(), [](char c) { return c > 1; });  // else bytes are no text
    EXPECT_TRUE(!plain || text == bytes) << model << ": " << text;
  }
}

TEST_F(GeneratorTest, rows_of_one_batch_generate_what_they_generate_alone) {
  const std::vector<Request> requests = {generate("one", 6), generate("a much longer prompt than the others", 4),
                                         generate("x", 9)};
  const auto together = run("llama_biases_llama3", requests);
  for (std::size_t i = 0; i < requests.size(); ++i)
    EXPECT_EQ(together[i].answer, run("llama_biases_llama3", {requests[i]}).at(0).answer) << i;
}

TEST_F(GeneratorTest, long_contexts_are_cut_on_the_left_and_counted) {
  const std::string longer(100, 'q');
  const auto responses = run("llama", {score(longer, "ab"), generate(longer, 10), score("a", std::string(70, 'b'))});
  EXPECT_EQ(truncated_of(responses[0].answer), 100 + 2 - 65)
      << "max_length 64: 65 tokens of context and continuation are kept";
  EXPECT_EQ(truncated_of(responses[1].answer), 100 - 54);
  EXPECT_NE(responses[2].error.find("continuation of 70 tokens is longer than max_length 64"), std::string::npos);
  Request strict = score(longer, "ab");
  strict.ask = Loglikelihood{OnLong::fail};
  EXPECT_NE(run("llama", {strict}).at(0).error.find("on_long: fail"), std::string::npos);
}

TEST_F(GeneratorTest, one_bad_request_does_not_cost_the_others) {
  const auto responses = run("llama", {score("a", "b"), score("a", ""), score("a", "c")});
  EXPECT_EQ(responses[0].error, "");
  EXPECT_EQ(responses[1].error, "the continuation has no token of its own");
  EXPECT_EQ(responses[2].error, "");
}

TEST_F(GeneratorTest, a_rolling_text_is_the_sum_of_its_windows) {
  const Request text{{"a text of more than sixty-four bytes, so that it takes two windows of the model."},
                     LoglikelihoodRolling{}};
  const auto response = run("llama", {text}).at(0);
  EXPECT_EQ(tokens(response), static_cast<std::int64_t>(text_of(text, 0).size()));
  EXPECT_LT(log_likelihood(response), 0);
}

TEST_F(GeneratorTest, a_token_the_model_lacks_costs_its_request_only) {
  const fs::path copy = fs::temp_directory_path() / "proctor-extra-token";
  fs::remove_all(copy);
  fs::copy(tiny_model("llama"), copy, fs::copy_options::recursive);
  std::ofstream(copy / "tokenizer_config.json")
      << R"({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
             "added_tokens_decoder": {"258": {"content": "[PAD]", "special": true}}})";
  Module module;
  module.path = copy.string();
  const auto open = find_kind("generator").open(module, *device_, *solo_, kQuiet);
  BatchCleanup cleanup({}, *device_);
  const std::vector<Request> requests = {score("a[PAD]", "b"), score("a", "b")};
  const auto responses = open->run({requests, 4096}, cleanup, kQuiet);
  EXPECT_EQ(responses[0].error, "token id 258 is outside the model's vocabulary of 258");
  EXPECT_EQ(responses[1].error, "");
  fs::remove_all(copy);
}

TEST_F(GeneratorTest, logits_that_are_no_numbers_fail_their_requests) {
  const fs::path copy = fs::temp_directory_path() / "proctor-broken";
  fs::remove_all(copy);
  fs::copy(tiny_model("llama"), copy, fs::copy_options::recursive);
  std::fstream file(copy / "model.safetensors", std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(-1000, std::ios::end);
  file << std::string(1000, '\xff');
  file.close();
  Module module;
  module.path = copy.string();
  const auto open = find_kind("generator").open(module, *device_, *solo_, kQuiet);
  BatchCleanup cleanup({}, *device_);
  Request drawn = generate("a", 3), told = generate("a", 3);
  std::get<Generate>(drawn.ask).draw = Draw{};
  std::get<Generate>(told.ask).logprobs = true;
  const std::vector<Request> requests = {
      score("a", "b"), {{"text"}, LoglikelihoodRolling{}}, generate("a", 3), drawn, told};
  for (const Response& response : open->run({requests, 4096}, cleanup, kQuiet))
    EXPECT_NE(response.error.find("is not finite"), std::string::npos) << response.error;
  fs::remove_all(copy);
}

TEST_F(GeneratorTest, repetition_penalty_changes_greedy_text_as_transformers_does) {
  const fs::path copy = fs::temp_directory_path() / "proctor-penalty";
  fs::remove_all(copy);
  fs::copy(tiny_model("llama"), copy, fs::copy_options::recursive);
  std::ofstream(copy / "generation_config.json") << R"({"eos_token_id": 257, "repetition_penalty": 1e6})";
  Module module;
  module.path = copy.string();
  const auto open = find_kind("generator").open(module, *device_, *solo_, kQuiet);
  BatchCleanup cleanup({}, *device_);
  const std::vector<Request> requests = {generate("abc", 8)};
  const Answer answer = open->run({requests, 4096}, cleanup, kQuiet).at(0).answer;
  EXPECT_NE(answer, run("llama", requests).at(0).answer);
  fs::remove_all(copy);
}

}  // namespace
}  // namespace proctor
