#include "worker/batching/rolling_windows.h"

#include <algorithm>
#include <utility>

namespace proctor {

std::vector<ScoredRow> rolling_windows(const Tokens& tokens, std::int32_t prefix, std::int64_t max_length) {
  std::vector<ScoredRow> windows;
  const auto at = [&](std::size_t i) { return tokens.begin() + static_cast<std::ptrdiff_t>(i); };
  const auto width = static_cast<std::size_t>(max_length);
  const std::size_t first = std::min(width, tokens.size());
  if (first == 0) return windows;
  ScoredRow head{{prefix}, {at(0), at(first)}};
  head.tokens.insert(head.tokens.end(), at(0), at(first - 1));
  windows.push_back(std::move(head));
  for (std::size_t done = first; done < tokens.size();) {
    const std::size_t count = std::min(tokens.size() - done, width), end = done + count;
    windows.push_back({{at(end - std::min(end, width + 1)), at(end - 1)}, {at(done), at(end)}});
    done = end;
  }
  return windows;
}

}  // namespace proctor
