// --limit: so many documents of each task, or a share of them, as lm-eval has it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace proctor {

struct DocumentLimit {
  double value = 0;  ///< 0: all; below 1: a share; else a count

  constexpr DocumentLimit(double given = 0) : value(given) {}  // NOLINT(google-explicit-constructor): it is a number
  explicit operator bool() const { return value > 0; }
  /// The first of so many that are taken; a share is rounded up.
  std::size_t of(std::size_t documents) const {
    if (value <= 0) return documents;
    const auto all = static_cast<double>(documents);
    return static_cast<std::size_t>(std::min(all, value < 1 ? std::ceil(value * all) : value));
  }
  bool operator==(const DocumentLimit&) const = default;
};

}  // namespace proctor
