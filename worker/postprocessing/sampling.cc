#include "worker/postprocessing/sampling.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

struct Candidate {
  std::int32_t token;
  double score;  // logit over temperature, then probability
};

/// Ascending by token; as many as the k-th best and its equals.
std::vector<Candidate> best_of(std::span<const float> logits, const Sampling& sampling) {
  float least = -std::numeric_limits<float>::infinity();
  if (const auto k = static_cast<std::size_t>(sampling.top_k); k > 0 && k < logits.size()) {
    std::vector<float> sorted(logits.begin(), logits.end());
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(k) - 1, sorted.end(), std::greater());
    least = sorted[k - 1];
  }
  std::vector<Candidate> kept;
  for (std::size_t id = 0; id < logits.size(); ++id)
    if (logits[id] >= least) kept.push_back({static_cast<std::int32_t>(id), logits[id] / sampling.temperature});
  return kept;
}

void to_probabilities(std::vector<Candidate>& candidates) {
  const double best = std::ranges::max(candidates, {}, &Candidate::score).score;
  double sum = 0;
  for (Candidate& candidate : candidates) sum += candidate.score = std::exp(candidate.score - best);
  for (Candidate& candidate : candidates) candidate.score /= sum;
}

/// Drops those less likely than min_p times the likeliest.
void drop_below(std::vector<Candidate>& candidates, double min_p) {
  const double least = min_p * std::ranges::max(candidates, {}, &Candidate::score).score;
  std::erase_if(candidates, [&](const Candidate& one) { return one.score < least; });
  double sum = 0;
  for (const Candidate& one : candidates) sum += one.score;
  for (Candidate& one : candidates) one.score /= sum;
}

/// Drops the least likely whose probabilities add up to at most 1 - top_p; one is left at least.
void keep_nucleus(std::vector<Candidate>& candidates, double top_p) {
  std::vector<Candidate> ascending = candidates;
  std::ranges::stable_sort(ascending, {}, &Candidate::score);
  double sum = 0;
  std::size_t dropped = 0;
  while (dropped + 1 < ascending.size() && sum + ascending[dropped].score <= 1 - top_p)
    sum += ascending[dropped++].score;
  candidates.assign(ascending.begin() + static_cast<std::ptrdiff_t>(dropped), ascending.end());
  std::ranges::sort(candidates, {}, &Candidate::token);
}

}  // namespace

std::int32_t sample(std::span<const float> logits, const Sampling& sampling, double uniform) {
  PROCTOR_CHECK(!logits.empty() && !sampling.is_greedy(), "a token is drawn from something, at a temperature");
  std::vector<Candidate> candidates = best_of(logits, sampling);
  to_probabilities(candidates);
  if (sampling.min_p > 0) drop_below(candidates, sampling.min_p);
  if (sampling.top_p < 1) keep_nucleus(candidates, sampling.top_p);
  double sum = 0;
  for (const Candidate& candidate : candidates) sum += candidate.score;
  double left = uniform * sum;
  for (const Candidate& candidate : candidates)
    if ((left -= candidate.score) < 0) return candidate.token;
  return candidates.back().token;
}

}  // namespace proctor
