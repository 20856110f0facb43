// Two random checkpoints of every decoder family against transformers' numbers (tests/oracle/make_family_goldens.py),
// alone and in a gang, row by row and with beginnings that rows share.
#include "worker/checkpoint/families.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "sharding/planning/tensor_parallel.h"
#include "tests/worker/support/goldens.h"
#include "tests/worker/support/members.h"
#include "tests/worker/support/tolerance.h"
#include "worker/attention/tree_attention.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/inference/generation_loop.h"
#include "worker/inference/scoring.h"
#include "worker/models/decoder.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

const Json& family_goldens() {
  static const Json json = goldens("family_goldens.json");
  return json;
}

/// A member's share of a tiny model, and what works on it.
struct Open {
  ModelFolder files;
  TextCodec codec;
  Weights weights;
  Decoder decoder;
  PrefixCache prefix;
  Tokens no_eos;
  GenerationLoop loop;
  const Json& golden;

  Open(const std::string& model, Communicator& gang)
      : files(read_model_folder(tiny_model("family-" + model))),
        codec(files, std::nullopt),
        weights(Checkpoint(files.path), decoder_parameters(member_config(files.decoder, share_of(gang))),
                member_sources(files.decoder, share_of(gang)), at::TensorOptions().dtype(at::kFloat), kQuiet),
        decoder(files.decoder, weights, gang),
        prefix(decoder),
        loop(decoder, codec, no_eos, prefix),
        golden(family_goldens()["models"][model]) {}

  at::Tensor logits(const Tokens& tokens) {
    const Batch batch = chain_batch(tokens, 0, tokens.size());
    const PrefixCache none(decoder);
    const TreeAttention attention(batch, decoder.config(), decoder.options(), none.keys());
    const bool is_long = static_cast<std::int64_t>(tokens.size()) > files.decoder.longest_short();
    return decoder.logits(
        decoder.forward(batch.tokens, batch.positions, std::cref(attention), {.of_long_texts = is_long}));
  }
  std::vector<RowScore> scores(const std::vector<ScoredRow>& rows, BatchLimits limits) {
    limits.longest_short = static_cast<std::size_t>(files.decoder.longest_short());
    std::vector<RowScore> scores(rows.size());
    for (const Batch& batch : make_batches(rows, limits)) {
      prefix.ensure(batch, rows, limits, kQuiet);
      score_batch(decoder, batch, rows, prefix, scores);
    }
    return scores;
  }
  /// Of logits, absolute: by width, depth and how large they are.
  double tolerance(double largest) const {
    const DecoderConfig& c = files.decoder;
    const std::int64_t width = std::max({c.hidden, c.intermediate, c.experts.width * c.experts.chosen});
    return largest * rounding_of_network(at::kFloat, width, c.layers);
  }
};

std::vector<Tokens> prompts() { return family_goldens()["prompts"].get<std::vector<Tokens>>(); }

void expect_logits(Open& open) {
  const Json& all = family_goldens();
  for (std::size_t p = 0; p < prompts().size(); ++p) {
    const at::Tensor logits = open.logits(prompts()[p]);
    const double tolerance = open.tolerance(logits.abs().max().item<double>());
    for (std::size_t r = 0; r < all["rows"][p].size(); ++r) {
      const at::Tensor row = logits[all["rows"][p][r].get<std::int64_t>()];
      const auto expected = open.golden["logits"][p][r].get<std::vector<double>>();
      for (std::size_t i = 0; i < expected.size(); ++i)
        ASSERT_NEAR(row[static_cast<std::int64_t>(i) * all["logit_step"].get<std::int64_t>()].item<double>(),
                    expected[i], tolerance)
            << "prompt " << p << " row " << r;
    }
  }
}

/// A row that scores `continuation` behind `prompt`.
ScoredRow row_of(Tokens prompt, const Tokens& continuation) {
  prompt.insert(prompt.end(), continuation.begin(), continuation.end() - 1);
  return {std::move(prompt), continuation};
}

/// The goldens' rows among others that begin as they do, in batches so small that all is cut: chains, masked blocks,
/// prefixes.
void expect_scores(Open& open) {
  const auto continuation = family_goldens()["continuation"].get<Tokens>();
  const Tokens longest = prompts()[2];
  std::vector<ScoredRow> rows;
  for (const Tokens& prompt : prompts()) rows.push_back(row_of(prompt, continuation));
  for (const std::size_t shared : {9u, 26u, 33u})
    for (TokenId other = 40; other < 43; ++other) {
      Tokens beginning(longest.begin(), longest.begin() + static_cast<std::ptrdiff_t>(shared));
      beginning.push_back(other);
      rows.push_back(row_of(std::move(beginning), continuation));
    }
  constexpr double kLogit = 10;  // of the goldens' models none is larger
  const double tolerance = 2 * static_cast<double>(continuation.size()) * open.tolerance(kLogit);
  std::vector<RowScore> alone;
  for (const ScoredRow& row : rows) alone.push_back(open.scores({row}, {})[0]);
  for (const BatchLimits& limits : {BatchLimits{}, BatchLimits{24, 6, 2, 4}, BatchLimits{64, 20, 8, 8}}) {
    const std::vector<RowScore> together = open.scores(rows, limits);
    for (std::size_t r = 0; r < rows.size(); ++r) EXPECT_NEAR(together[r].sum, alone[r].sum, tolerance) << "row " << r;
    for (std::size_t p = 0; p < prompts().size(); ++p)
      EXPECT_NEAR(together[p].sum, open.golden["log_likelihoods"][p].get<double>(), tolerance) << "prompt " << p;
  }
}

/// Greedy texts of rows that share a prefix, which no lane holds, and of each alone.
void expect_texts(Open& open) {
  const Tokens prompt = prompts()[family_goldens()["greedy_prompt"].get<std::size_t>()];
  const auto expected = open.golden["greedy"].get<Tokens>();
  const auto generate = [&](std::vector<GenerationRow> rows, const BatchLimits& limits) {
    for (GenerationRow& row : rows) row.max_new = static_cast<std::int64_t>(expected.size());
    open.loop.run(rows, limits, kQuiet);
    return rows;
  };
  std::vector<GenerationRow> rows(4);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].prompt = prompt;
    for (std::size_t more = 0; more < 5 * i; ++more) rows[i].prompt.push_back(static_cast<TokenId>(60 + more));
  }
  const auto together = generate(rows, {48, 6, 2, 4});
  EXPECT_GT(open.prefix.length(), 0) << "what they begin with is shared, windows or not";
  EXPECT_EQ(together[0].generated, expected);
  EXPECT_EQ(generate({rows[0]}, {})[0].generated, expected);
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& [name, golden] : family_goldens()["models"].items()) all.push_back(name);
  return all;
}

void in_a_gang(const std::string& model, std::uint32_t size, const std::function<void(Open&)>& check) {
  expect_well(Members(size).run([&](Communicator& gang) {
    const at::NoGradGuard no_grad;
    Open open(model, gang);
    SCOPED_TRACE(model);
    check(open);
  }));
}

void of_all(const std::function<void(Open&)>& check) {
  for (const std::string& model : names()) in_a_gang(model, 1, check);
}

TEST(Families, have_transformers_logits) { of_all(expect_logits); }
TEST(Families, score_as_transformers_does_whatever_rows_share) { of_all(expect_scores); }
TEST(Families, generate_as_transformers_does_whatever_rows_share) { of_all(expect_texts); }

/// Of each family at least one checkpoint is divided.
TEST(Families, give_the_same_numbers_in_a_gang_of_two) {
  std::map<std::string, bool> divided;
  for (const std::string& model : names()) {
    const bool can = !cannot_split(check_model(read_model_folder(tiny_model("family-" + model))), 2);
    divided[model.substr(0, model.rfind('-'))] |= can;
    if (can) in_a_gang(model, 2, [](Open& open) { expect_scores(open), expect_texts(open); });
  }
  for (const auto& [family, can] : divided) EXPECT_TRUE(can) << family;
}

}  // namespace
}  // namespace proctor
