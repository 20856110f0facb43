#include "worker/inference/beam_search.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

namespace proctor {
namespace {

constexpr float kNever = -1e9F;  // transformers' own for what is not to be chosen

/// The indices of the `count` largest, descending; equal ones by their index.
template <class Of>
std::vector<std::size_t> largest(std::size_t size, std::size_t count, const Of& of) {
  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater(), of);
  order.resize(std::min(count, size));
  return order;
}

}  // namespace

BeamSearch::BeamSearch(BeamFacts facts) : facts_(std::move(facts)) {
  const auto beams = static_cast<std::size_t>(facts_.beams);
  running_.resize(beams);
  sums_.assign(beams, kNever);
  sums_[0] = 0;  // all begin alike: the first one alone counts
  ended_.assign(beams, {{}, kNever, false});
}

std::vector<BeamSearch::Candidate> BeamSearch::candidates(const at::Tensor& log_p, const Stops& stops) {
  const std::int64_t beams = facts_.beams, vocabulary = log_p.size(1);
  const auto of_each = static_cast<std::int64_t>(std::max<std::size_t>(2, 1 + facts_.eos_ids.size()));
  const at::Tensor sums = log_p + at::tensor(sums_, log_p.options()).unsqueeze(1);
  const auto [top, places] = sums.flatten().topk(std::min(of_each * beams, beams * vocabulary));
  const at::Tensor values = top.cpu().contiguous(), at = places.cpu().contiguous();
  std::vector<Candidate> all;
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const std::int64_t place = at.data_ptr<std::int64_t>()[i];
    Candidate candidate{place / vocabulary, running_[static_cast<std::size_t>(place / vocabulary)],
                        values.data_ptr<float>()[i]};
    candidate.tokens.push_back(static_cast<TokenId>(place % vocabulary));
    candidate.ends = std::ranges::find(facts_.eos_ids, candidate.tokens.back()) != facts_.eos_ids.end() ||
                     static_cast<std::int64_t>(candidate.tokens.size()) >= facts_.most;
    all.push_back(std::move(candidate));
  }
  stopped_ = stopped_ || stops(all[0].tokens);  // the best one decides for all, and for good
  for (Candidate& candidate : all) candidate.ends = candidate.ends || stopped_;
  return all;
}

bool BeamSearch::all_ended() const { return std::ranges::all_of(ended_, &Text::has_ended); }

/// Only those among the best `beams` candidates may end.
void BeamSearch::keep_best_that_ended(const std::vector<Candidate>& all) {
  const auto beams = static_cast<std::size_t>(facts_.beams);
  const bool closed = all_ended() && facts_.ends == GenerationDefaults::Ends::at_first;
  std::vector<Text> merged = ended_;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool ends = all[i].ends && i < beams;
    const auto length = static_cast<double>(all[i].tokens.size());
    float score = all[i].sum / static_cast<float>(std::pow(length, facts_.length_penalty));
    if (closed) score += kNever;
    if (!improvable_) score += kNever;
    if (!ends) score += kNever;
    merged.push_back({all[i].tokens, score, ends});
  }
  std::vector<Text> best;
  for (const std::size_t i : largest(merged.size(), beams, [&](std::size_t j) { return merged[j].score; }))
    best.push_back(merged[i]);
  ended_ = std::move(best);
}

/// The best running text could still become better than the worst one that ended.
bool BeamSearch::may_be_improved() const {
  using Ends = GenerationDefaults::Ends;
  const bool by_longest = facts_.ends == Ends::by_longest && facts_.length_penalty > 0;
  const auto length = by_longest ? static_cast<double>(facts_.most) : static_cast<double>(running_[0].size());
  const float hoped = sums_[0] / static_cast<float>(std::pow(length, facts_.length_penalty));
  const float worst = std::ranges::min(ended_, {}, &Text::score).score;
  return std::ranges::any_of(ended_, [&](const Text& text) { return hoped > (text.has_ended ? worst : kNever); });
}

std::vector<std::int64_t> BeamSearch::step(const at::Tensor& log_p, const Stops& stops) {
  const auto beams = static_cast<std::size_t>(facts_.beams);
  const std::vector<Candidate> all = candidates(log_p, stops);
  broken_ = !std::isfinite(all[0].sum);
  std::vector<std::int64_t> from;
  std::vector<Tokens> running;
  std::vector<float> sums;
  const auto goes_on = [&](std::size_t i) { return all[i].sum + (all[i].ends ? kNever : 0); };
  for (const std::size_t i : largest(all.size(), beams, goes_on)) {
    from.push_back(all[i].from);
    running.push_back(all[i].tokens);
    sums.push_back(goes_on(i));
  }
  keep_best_that_ended(all);
  running_ = std::move(running);
  sums_ = std::move(sums);
  improvable_ = improvable_ && may_be_improved();
  const bool enough = all_ended() && facts_.ends == GenerationDefaults::Ends::at_first;
  over_ = broken_ || !improvable_ || enough || std::ranges::all_of(all, &Candidate::ends);
  return from;
}

}  // namespace proctor
