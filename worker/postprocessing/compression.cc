#include "worker/postprocessing/compression.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace proctor {
namespace {

constexpr std::int64_t kWindow = 200;  // tokens
constexpr std::int64_t kJoint = 2;     // tokens that stand for what joins two contexts

/// A part of a window, and the share of it that is kept.
struct Part {
  std::int64_t tokens = 0;
  double share = 0;
};

/// The windows over the contexts; the first begins at its second token.
std::vector<std::vector<Part>> windows_of(std::span<const std::size_t> lengths, double target) {
  double all = 1;
  for (const std::size_t length : lengths) all += static_cast<double>(static_cast<std::int64_t>(length) + kJoint);
  const double share = std::clamp(target / all, 0.0, 1.0);
  std::vector<std::vector<Part>> windows;
  std::vector<Part> open;
  std::int64_t filled = 1;
  for (const std::size_t length : lengths) {
    const std::int64_t more = static_cast<std::int64_t>(length) + kJoint;
    if (filled + more < kWindow) {
      filled += more;
      open.push_back({more, share});
      continue;
    }
    open.push_back({kWindow - filled, share});
    windows.push_back(std::move(open));
    filled += more - kWindow;
    for (; filled > kWindow; filled -= kWindow) windows.push_back({{kWindow, share}});
    open.clear();
    if (filled > 0) open.push_back({filled, share});
  }
  if (!open.empty()) windows.push_back(std::move(open));
  return windows;
}

/// Where a slice up to `end` ends in a list of `size`: from behind where it is negative, as in Python.
std::size_t slice_end(std::int64_t end, std::size_t size) {
  const auto length = static_cast<std::int64_t>(size);
  return static_cast<std::size_t>(std::clamp<std::int64_t>(end < 0 ? end + length : end, 0, length));
}

/// The loss above which a share of all is: all where that is everything.
double threshold_of(const std::vector<double>& losses, double share) {
  if (share == 1.0) return -std::numeric_limits<double>::infinity();
  const auto count = static_cast<std::int64_t>(losses.size());
  const auto place =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(static_cast<double>(count) * share) - 1, 0, count - 1);
  std::vector<double> sorted = losses;
  std::nth_element(sorted.begin(), sorted.begin() + place, sorted.end(), std::greater());
  return sorted[static_cast<std::size_t>(place)];
}

/// Drops from [end - part, end) the tokens whose loss is no more than the threshold. Returns the new end.
std::int64_t drop(Tokens& tokens, std::vector<double>& losses, std::int64_t end, std::int64_t part, double threshold) {
  std::vector<bool> kept;
  for (const double loss : losses) kept.push_back(loss > threshold);
  kept.push_back(losses[0] > 0);
  const std::size_t before = slice_end(end - part, kept.size()), behind = slice_end(end, kept.size());
  for (std::size_t i = 0; i < kept.size(); ++i)
    if (i < before || i >= behind) kept[i] = true;
  std::size_t left = 0;
  for (std::size_t i = 0; i < losses.size(); ++i)
    if (kept[i]) losses[left++] = losses[i];
  losses.resize(left);
  kept.resize(tokens.size(), true);
  left = 0;
  const auto dropped =
      std::count(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(slice_end(end, kept.size())), false);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (kept[i]) tokens[left++] = tokens[i];
  tokens.resize(left);
  return end - dropped;
}

}  // namespace

std::vector<std::size_t> choose_contexts(std::span<const double> question_losses, std::span<const std::size_t> tokens,
                                         double budget) {
  std::vector<std::size_t> order(question_losses.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return question_losses[i]; });
  std::size_t taken = 0;
  while (taken < order.size() && budget >= 0) budget -= static_cast<double>(tokens[order[taken++]]);
  order.resize(taken);
  std::ranges::sort(order);
  return order;
}

Tokens thin_out(Tokens tokens, std::span<const std::size_t> lengths, double target, const TokenLosses& losses_of) {
  const std::vector<std::vector<Part>> windows = windows_of(lengths, target);
  std::vector<double> losses;
  std::int64_t end = std::min(kWindow, static_cast<std::int64_t>(tokens.size())), ready = 0;
  for (std::size_t window = 0; window < windows.size() && end <= static_cast<std::int64_t>(tokens.size()); ++window) {
    // the first pass sees everything; a later one what was kept, up to the window's end, and computes the losses from
    // where the window before began
    const std::span<const TokenId> seen =
        window == 0 ? std::span<const TokenId>(tokens) : std::span(tokens).first(static_cast<std::size_t>(end));
    const std::vector<double> fresh = losses_of(seen, static_cast<std::size_t>(ready));
    if (fresh.empty()) break;
    losses.resize(std::max(losses.size(), static_cast<std::size_t>(ready) + fresh.size()), 0);
    std::ranges::copy(fresh, losses.begin() + ready);
    ready = window == 0 ? 0 : end - kWindow;
    for (const Part& part : windows[window]) {
      if (losses.empty()) return tokens;
      end = drop(tokens, losses, end - kWindow + part.tokens, part.tokens, threshold_of(losses, part.share)) + kWindow;
    }
  }
  return tokens;
}

}  // namespace proctor
