// Rows that generate together, entering and leaving lanes behind a prefix that they share, and each alone.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <random>
#include <set>

#include "tests/worker/support/members.h"
#include "tests/worker/support/tolerance.h"
#include "worker/attention/tree_attention.h"
#include "worker/checkpoint/families.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/inference/generation_loop.h"
#include "worker/inference/scoring.h"

namespace proctor {
namespace {

using Ids = Tokens;

/// A model's decoder, and what generates with it, in one member of a gang.
struct Open {
  ModelFolder files;
  TextCodec codec;
  Weights weights;
  Decoder decoder;
  PrefixCache prefix;
  Tokens no_eos;
  GenerationLoop loop;
  std::vector<std::string> units;

  Open(const std::string& folder, Communicator& gang)
      : files(read_model_folder(folder)),
        codec(files, std::nullopt),
        weights(Checkpoint(folder), decoder_parameters(member_config(files.decoder, share_of(gang))),
                member_sources(files.decoder, share_of(gang)), at::TensorOptions().dtype(at::kFloat),
                [](const ProgressUnit&) {}),
        decoder(files.decoder, weights, gang),
        prefix(decoder),
        loop(decoder, codec, no_eos, prefix) {}

  void generate(std::span<GenerationRow> rows, const BatchLimits& limits) {
    const at::NoGradGuard no_grad;
    loop.run(rows, limits, [&](const ProgressUnit& unit) { units.push_back(unit.text); });
  }
  std::vector<Ids> tokens(std::vector<GenerationRow> rows, const BatchLimits& limits) {
    generate(rows, limits);
    std::vector<Ids> out;
    for (const GenerationRow& row : rows) out.push_back(row.generated);
    return out;
  }
};

void in_a_gang(const std::string& model, std::uint32_t size, const std::function<void(Open&)>& check) {
  expect_well(Members(size).run([&](Communicator& gang) {
    Open open((std::filesystem::path(PROCTOR_TINY_MODELS) / model).string(), gang);
    check(open);
  }));
}

/// Twelve prompts of 9 to 30 tokens that share 9, some of them twice; 1 to 12 new tokens each.
std::vector<GenerationRow> random_rows(std::uint32_t seed, const Sampling& sampling = {}) {
  std::mt19937 random(seed);
  std::vector<GenerationRow> rows;
  for (std::size_t i = 0; i < 12; ++i) {
    GenerationRow row;
    row.request = i;
    for (std::int32_t t = 0; t < 9; ++t) row.prompt.push_back(3 + t);
    for (std::size_t t = random() % 22; t > 0; --t) row.prompt.push_back(static_cast<std::int32_t>(random() % 200));
    if (i % 5 == 4) row.prompt = rows.back().prompt;
    row.max_new = 1 + static_cast<std::int64_t>(random() % 12);
    row.sampling = sampling;
    row.sampling.seed = i;
    rows.push_back(row);
  }
  return rows;
}

TEST(KvCache, lanes_that_become_shorter_and_more_keep_what_is_in_them) {
  constexpr std::int64_t kLayers = 2, kHeads = 3, kWidth = 4;
  KvCache cache(kLayers, 60, kHeads, kWidth, at::kFloat);
  EXPECT_TRUE(cache.make_room(2, 20));
  EXPECT_EQ(cache.room(), 3);
  std::vector<at::Tensor> keys, values;
  for (const std::int64_t tokens : {7, 12}) {
    keys.push_back(at::randn({tokens, kHeads, kWidth}));
    values.push_back(at::randn({tokens, kHeads, kWidth}));
    cache.add_lane(tokens);
    for (std::int64_t layer = 0; layer < kLayers; ++layer)
      cache.write(layer, cache.lanes() - 1, 0, keys.back() + layer, values.back() + layer);
  }
  EXPECT_TRUE(cache.make_room(1, 13)) << "there is one";
  EXPECT_EQ(cache.room(), 1);
  EXPECT_FALSE(cache.make_room(3, 13)) << "four lanes would not do";
  EXPECT_EQ(cache.room(), 1);
  EXPECT_TRUE(cache.make_room(2, 13));
  EXPECT_EQ(cache.room(), 2);
  for (std::int64_t layer = 0; layer < kLayers; ++layer)
    for (std::int64_t lane = 0; lane < 2; ++lane) {
      const auto i = static_cast<std::size_t>(lane);
      const std::int64_t tokens = cache.length(lane);
      EXPECT_TRUE(cache.keys(layer, tokens)[lane].transpose(0, 1).equal(keys[i] + layer)) << layer << " " << lane;
      EXPECT_TRUE(cache.values(layer, tokens)[lane].transpose(0, 1).equal(values[i] + layer)) << layer << " " << lane;
    }
}

std::vector<Ids> alone(Open& open, const std::vector<GenerationRow>& rows) {
  std::vector<Ids> out;
  for (const GenerationRow& row : rows) out.push_back(open.tokens({row}, {})[0]);
  return out;
}

/// Where two texts part, the tokens must be equally likely to rounding: a tie that the batch decides.
void expect_same_or_tied(Open& open, const GenerationRow& row, const Ids& got, const Ids& expected,
                         const std::string& where) {
  const auto parting = std::ranges::mismatch(got, expected);
  if (parting.in1 == got.end() || parting.in2 == expected.end()) {
    EXPECT_EQ(got.size(), expected.size());
    return;
  }
  const at::NoGradGuard no_grad;
  Ids tokens = row.prompt;
  tokens.insert(tokens.end(), got.begin(), parting.in1);
  const Batch chain = chain_batch(tokens, 0, tokens.size());
  const PrefixCache none(open.decoder);
  const TreeAttention attention(chain, open.decoder.config(), open.decoder.options(), none.keys());
  const std::vector<std::int32_t> last = {static_cast<std::int32_t>(tokens.size()) - 1};
  const at::Tensor logits =
      open.decoder.logits(open.decoder.forward(chain.tokens, chain.positions, std::cref(attention), {.tokens = last}));
  const at::Tensor all = open.decoder.gang().all_gather(logits).transpose(0, 1).flatten();
  EXPECT_NEAR(all[*parting.in1].item<float>(), all[*parting.in2].item<float>(), kTinyLogit * rounding_of_network())
      << where;
}

TEST(GenerationLoop, rows_generate_together_what_they_generate_alone) {
  for (const char* model : {"llama-kv2", "qwen3-kv12", "mistral_window-kv2"})
    for (const std::uint32_t size : {1u, 2u})
      in_a_gang(model, size, [&](Open& open) {
        for (std::uint32_t seed = 0; seed < 6; ++seed) {
          const std::vector<GenerationRow> rows = random_rows(seed);
          const std::vector<Ids> expected = alone(open, rows);
          for (const BatchLimits& limits : {BatchLimits{}, BatchLimits{8, 6, 2, 4}, BatchLimits{20, 0, 1, 2}}) {
            const std::vector<Ids> together = open.tokens(rows, limits);
            for (std::size_t r = 0; r < rows.size(); ++r)
              expect_same_or_tied(open, rows[r], together[r], expected[r],
                                  std::string(model) + " x" + std::to_string(size) + " seed " + std::to_string(seed));
          }
        }
      });
}

TEST(GenerationLoop, a_drawn_text_depends_on_its_seed_alone) {
  for (const std::uint32_t size : {1u, 2u})
    in_a_gang("llama-kv2", size, [&](Open& open) {
      const std::vector<GenerationRow> rows = random_rows(7, {1.0, 50, 0.95, 0});
      const std::vector<Ids> together = open.tokens(rows, {8, 6, 2, 4});
      EXPECT_EQ(together, alone(open, rows));
      EXPECT_NE(together, alone(open, random_rows(7))) << "not the greedy text";
      std::set<Ids> texts;
      for (std::uint64_t seed = 0; seed < 9; ++seed) {
        GenerationRow row = rows[0];
        row.max_new = 8;
        row.sampling.seed = seed;
        texts.insert(open.tokens({row}, {})[0]);
      }
      EXPECT_GT(texts.size(), 6u);
    });
}

TEST(GenerationLoop, what_all_prompts_begin_with_is_computed_once) {
  in_a_gang("llama-kv2", 1, [](Open& open) {
    std::vector<GenerationRow> rows(10);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i].prompt = Ids(32, 5);
      rows[i].prompt.push_back(static_cast<std::int32_t>(10 + i));
      rows[i].max_new = 1;
    }
    open.generate(rows, {64, 256, 32, 16});
    EXPECT_EQ(open.decoder.tokens_computed(), 32u + 10);
  });
}

TEST(GenerationLoop, a_row_stops_at_a_stop_string_that_spans_tokens) {
  in_a_gang("llama-kv2", 1, [](Open& open) {
    GenerationRow row;
    row.prompt = {1, 2, 3};
    row.max_new = 30;
    const Ids whole = open.tokens({row}, {})[0];
    const std::string text = open.codec.decode_whole(std::span(whole).subspan(10, 2));
    ASSERT_FALSE(text.empty());
    row.stops = {"never said", text};
    const Ids cut = open.tokens({row}, {})[0];
    EXPECT_LE(cut.size(), 12u);
    EXPECT_TRUE(std::equal(cut.begin(), cut.end(), whole.begin()));
    EXPECT_NE(open.codec.decode_whole(cut).find(text), std::string::npos);
  });
}

/// Whatever chose them: each is the model's own, as scoring the text finds it.
TEST(Generation, log_probabilities_of_its_tokens_are_those_that_scoring_finds) {
  for (const std::uint32_t size : {1u, 2u})
    in_a_gang("llama-kv2", size, [](Open& open) {
      std::vector<GenerationRow> rows(4);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        rows[i].request = i;
        rows[i].prompt = {10, 20, 30 + static_cast<std::int32_t>(i)};
        rows[i].max_new = 12;
        rows[i].wants_logprobs = i != 3;
      }
      rows[1].sampling = {1.5, 0, 0.9, 7};
      rows[2].repetition_penalty = 1.3;
      open.generate(rows, {});
      EXPECT_TRUE(rows[3].logprobs.empty());
      for (std::size_t i = 0; i < 3; ++i) {
        ASSERT_EQ(rows[i].logprobs.size(), rows[i].generated.size());
        std::vector<ScoredRow> scored = {{rows[i].prompt, rows[i].generated}};
        scored[0].tokens.insert(scored[0].tokens.end(), rows[i].generated.begin(), rows[i].generated.end() - 1);
        std::vector<RowScore> scores(1);
        scores[0].of_targets.resize(rows[i].generated.size());
        const at::NoGradGuard no_grad;
        for (const Batch& batch : make_batches(scored, {}))
          score_batch(open.decoder, batch, scored, open.prefix, scores);
        for (std::size_t t = 0; t < rows[i].generated.size(); ++t)
          EXPECT_NEAR(rows[i].logprobs[t], scores[0].of_targets[t], rounding_of_log_probability(1)) << i << " " << t;
      }
    });
}

}  // namespace
}  // namespace proctor
