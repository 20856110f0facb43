// Metrics over the texts drawn of one document. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace proctor {

struct RepeatMetric {
  enum class Kind { pass, majority, average } kind = Kind::pass;
  std::size_t k = 1;
};
/// pass@K, maj@K, avg@K with K from 1 on; nothing else.
std::optional<RepeatMetric> repeat_metric(const std::string& name);

/// That one of k texts drawn from these without replacement is right: 1 - C(n - c, k) / C(n, k) (Chen et al., 2021,
/// arXiv:2107.03374). n >= k >= 1. [0, 1]
double pass_at(std::size_t texts, std::size_t right, std::size_t k);
/// The most frequent of the first k, the first seen among equals.
std::size_t majority_of(std::span<const std::string> texts, std::size_t k);

}  // namespace proctor
