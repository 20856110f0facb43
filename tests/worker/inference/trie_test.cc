// With and without the trie: rows scored together, sharing what they begin with, and each alone in one causal chain.
// Together and alone are the same numbers to rounding: products have other shapes, sums another order. How much that
// can be of a row is its own: one whose logits hang on a small difference amplifies it. So the tolerance is found by
// the theory of backward errors (Higham 2002, Accuracy and Stability of Numerical Algorithms, 3.1): a sum of n products
// in any order is the exact sum of products that are off by some roundoffs each. The row is scored again with every
// weight off by a random share of that size; what this does to its score, six standard deviations of it, is what
// rounding may do.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <numeric>
#include <random>

#include "tests/worker/support/members.h"
#include "tests/worker/support/tolerance.h"
#include "worker/checkpoint/families.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/inference/scoring.h"

namespace proctor {
namespace {

const Announce kQuiet = [](const ProgressUnit&) {};
using Ids = Tokens;

/// Rows from a random tree of this depth whose nodes have 0 to 12 tokens, most of them few; empty ones make a row the
/// beginning of another, or equal to it.
std::vector<ScoredRow> random_rows(std::mt19937& random, int depth) {
  std::vector<ScoredRow> rows;
  const std::function<void(Ids, int)> grow = [&](Ids path, int left) {
    const std::size_t count = random() % 4 == 0 ? random() % 13 : random() % 3;
    for (std::size_t i = 0; i < count; ++i) path.push_back(static_cast<std::int32_t>(random() % 200));
    if (left > 1)
      for (std::size_t child = 0, children = 1 + random() % 3; child < children; ++child) grow(path, left - 1);
    else if (!path.empty() && rows.size() < 60)
      rows.push_back({path, Ids(1 + random() % std::min<std::size_t>(path.size(), 9), 0)});
  };
  grow({1, 2, 3}, depth);
  for (ScoredRow& row : rows)
    for (auto& target : row.targets) target = static_cast<std::int32_t>(random() % 200);
  return rows;
}

struct Scored {
  std::vector<RowScore> rows;
  std::uint64_t tokens = 0;
};

/// One cache for all, as in a visit.
Scored score(const Decoder& decoder, PrefixCache& prefix, const std::vector<ScoredRow>& rows,
             const BatchLimits& limits) {
  const at::NoGradGuard no_grad;
  const std::uint64_t before = decoder.tokens_computed();
  Scored scored{std::vector<RowScore>(rows.size()), 0};
  for (const Batch& batch : make_batches(rows, limits)) {
    prefix.ensure(batch, rows, limits, kQuiet);
    score_batch(decoder, batch, rows, prefix, scored.rows);
  }
  scored.tokens = decoder.tokens_computed() - before;
  return scored;
}

std::vector<RowScore> score_alone(const Decoder& decoder, const std::vector<ScoredRow>& rows) {
  std::vector<RowScore> all;
  PrefixCache none(decoder);
  for (const ScoredRow& row : rows) all.push_back(score(decoder, none, {row}, {}).rows[0]);
  return all;
}

/// A tiny model in a member of a gang. `noise`: each weight is off by a normal share of this size; drawn alike in every
/// member.
struct Loaded {
  ModelFolder files;
  Weights weights;
  Decoder decoder;
  Loaded(const std::string& model, at::ScalarType type, Communicator& gang, double noise = 0, std::uint64_t seed = 0)
      : files(read_model_folder((std::filesystem::path(PROCTOR_TINY_MODELS) / model).string())),
        weights(Checkpoint(files.path), decoder_parameters(member_config(files.decoder, share_of(gang))),
                member_sources(files.decoder, share_of(gang)), at::TensorOptions().dtype(type), kQuiet),
        decoder(files.decoder, perturbed(noise, seed, gang), gang) {}

 private:
  const Weights& perturbed(double noise, std::uint64_t seed, Communicator& gang) {
    if (noise == 0) return weights;
    at::Generator random = at::detail::createCPUGenerator(seed);
    for (const ParameterShape& parameter : decoder_parameters(member_config(files.decoder, share_of(gang)))) {
      const at::Tensor& weight = weights.at(parameter.name);
      const at::Tensor share = at::empty(weight.sizes(), at::kFloat).normal_(1, noise, random);
      weight.copy_(weight.to(at::kFloat).mul_(share));
    }
    return weights;
  }
};

/// Calls `check` in every member of a gang.
void in_a_gang(std::uint32_t size, const std::function<void(Communicator&)>& check) {
  expect_well(Members(size).run(check));
}

constexpr std::uint64_t kPerturbed = 4;

/// What rounding may do to each row's score.
class Tolerances {
 public:
  Tolerances(const std::string& model, at::ScalarType type, Communicator& gang) {
    const double noise = type == at::kFloat ? rounding_of_sum(kWidth) : unit_roundoff(type);
    for (std::uint64_t seed = 0; seed < kPerturbed; ++seed)
      perturbed_.push_back(std::make_unique<Loaded>(model, type, gang, noise, seed));
  }
  std::vector<double> of(const std::vector<ScoredRow>& rows, const std::vector<RowScore>& exact) const {
    std::vector<double> squares(rows.size());
    for (const auto& model : perturbed_) {
      const std::vector<RowScore> scores = score_alone(model->decoder, rows);
      for (std::size_t r = 0; r < rows.size(); ++r) squares[r] += std::pow(scores[r].sum - exact[r].sum, 2);
    }
    const double mean = std::accumulate(squares.begin(), squares.end(), 0.0) / static_cast<double>(rows.size());
    for (double& square : squares) square = 6 * std::sqrt(std::max(square, mean) / kPerturbed);
    return squares;
  }

 private:
  static constexpr std::int64_t kWidth = 48;  // of the tiny models' longest sum
  std::vector<std::unique_ptr<Loaded>> perturbed_;
};

void expect_near(const std::vector<RowScore>& got, const std::vector<RowScore>& expected,
                 const std::vector<double>& tolerances, const std::string& where) {
  for (std::size_t r = 0; r < expected.size(); ++r) {
    ASSERT_EQ(got[r].tokens, expected[r].tokens) << where;
    ASSERT_NEAR(got[r].sum, expected[r].sum, tolerances[r]) << where << " row " << r;
    ASSERT_EQ(got[r].greedy, expected[r].greedy) << where << " row " << r;
  }
}

TEST(Trie, rows_score_together_as_they_do_alone) {
  for (const std::string model : {"llama-kv2", "qwen3-kv2", "mistral_window-kv2"})
    for (const std::uint32_t size : {1u, 2u})
      in_a_gang(size, [&](Communicator& gang) {
        const Loaded loaded(model, at::kFloat, gang);
        const Tolerances tolerances(model, at::kFloat, gang);
        PrefixCache prefix(loaded.decoder);
        for (std::uint32_t seed = 0; seed < 21; ++seed) {
          std::mt19937 random(seed);
          const int depth = 1 + static_cast<int>(seed % 7);
          const std::vector<ScoredRow> rows = random_rows(random, depth);
          const std::vector<RowScore> alone = score_alone(loaded.decoder, rows);
          const std::vector<double> allowed = tolerances.of(rows, alone);
          for (const BatchLimits& limits :
               {BatchLimits{2048, 256, 32, 64}, BatchLimits{24, 6, 2, 4}, BatchLimits{40, 0, 1, 2},
                BatchLimits{8, 16, 4, 1}, BatchLimits{64, 20, 8, 8}})
            expect_near(score(loaded.decoder, prefix, rows, limits).rows, alone, allowed,
                        model + " x" + std::to_string(size) + " seed " + std::to_string(seed) + " batches of " +
                            std::to_string(limits.max_batch_tokens));
        }
      });
}

TEST(Trie, a_prefix_has_the_same_bytes_whatever_was_there_before) {
  in_a_gang(1, [](Communicator& gang) {
    const Loaded loaded("qwen3-kv2", at::kFloat, gang);
    const Decoder& decoder = loaded.decoder;
    std::mt19937 random(3);
    std::vector<ScoredRow> first, second;
    Ids header(37);
    for (auto& token : header) token = static_cast<std::int32_t>(random() % 200);
    for (std::int32_t i = 0; i < 9; ++i) {
      Ids tokens(header.begin(), header.begin() + (i % 2 ? 37 : 21));
      tokens.insert(tokens.end(), 5, i);
      (i % 2 ? first : second).push_back({tokens, {7, 8}});
    }
    const BatchLimits limits{16, 8, 4, 4};
    PrefixCache cold(decoder), warm(decoder);
    const Scored expected = score(decoder, cold, second, limits);
    score(decoder, warm, first, limits);
    const Scored got = score(decoder, warm, second, limits);
    EXPECT_LT(got.tokens, expected.tokens) << "what both shards begin with is kept";
    for (std::size_t r = 0; r < second.size(); ++r) EXPECT_EQ(got.rows[r].sum, expected.rows[r].sum);
  });
}

TEST(Trie, a_header_is_computed_once) {
  in_a_gang(1, [](Communicator& gang) {
    const Loaded loaded("llama-kv2", at::kFloat, gang);
    const Decoder& decoder = loaded.decoder;
    std::vector<ScoredRow> rows;
    for (std::int32_t i = 0; i < 30; ++i) {
      rows.push_back({Ids(48, 9), {1}});
      rows.back().tokens.insert(rows.back().tokens.end(), 4, i);
    }
    PrefixCache prefix(decoder);
    EXPECT_EQ(score(decoder, prefix, rows, {40, 256, 32, 16}).tokens, 48u + 30 * 4);
    prefix.clear();
    EXPECT_EQ(prefix.length(), 0);
  });
}

TEST(Trie, sixteen_bit_types_stay_near) {
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf})
    in_a_gang(1, [&](Communicator& gang) {
      const Loaded loaded("llama-kv2", type, gang);
      std::mt19937 random(11);
      const std::vector<ScoredRow> rows = random_rows(random, 4);
      PrefixCache prefix(loaded.decoder);
      const auto together = score(loaded.decoder, prefix, rows, {24, 6, 2, 4}).rows;
      const auto alone = score_alone(loaded.decoder, rows);
      const std::vector<double> allowed = Tolerances("llama-kv2", type, gang).of(rows, alone);
      for (std::size_t r = 0; r < rows.size(); ++r) EXPECT_NEAR(together[r].sum, alone[r].sum, allowed[r]);
    });
}

}  // namespace
}  // namespace proctor
