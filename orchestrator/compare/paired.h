// Statistics of one metric of two models on the same documents. Formulas: McNemar's exact test; Newcombe 1998
// (Statistics in Medicine 17:2635, method 10); the paired t test, with clusters as Miller 2024 (arXiv 2411.00640) has
// them; Holm 1979. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace proctor {

/// A document's value on both sides.
struct Pair {
  double a = 0, b = 0;
  std::string cluster = {};            ///< documents of one are not independent; "": each is its own
  std::size_t line_a = 0, line_b = 0;  ///< of the samples, from 0
};

struct Interval {
  double low = 0, high = 0;  ///< 95 %
};

struct PairedResult {
  std::size_t n = 0, wins_a = 0,
              wins_b = 0;               ///< a win is a greater value; the caller turns the sign where less is better
  double a = 0, b = 0, difference = 0;  ///< means; b - a
  std::string test;                     ///< mcnemar, paired_t
  std::optional<double> stderr_, p;     ///< absent below two documents (or clusters)
  std::optional<Interval> interval, bootstrap;
  std::optional<double> detectable;  ///< the least difference found in 80 % of such comparisons, at 5 %; absent where
                                     ///< all differences are equal
  std::optional<std::uint64_t>
      documents_needed;  ///< to find the difference that was seen so; absent where it is 0, or nothing varies
};

/// `clustered`: the pairs have clusters, which McNemar's test knows nothing of; it serves where all values are 0 or 1.
PairedResult compare_pairs(std::span<const Pair> pairs, bool clustered);

/// Two-sided, of documents that only one side has right.
double mcnemar_exact(std::size_t only_a, std::size_t only_b);
/// Of the difference of two shares of the same `n` documents: b's less a's.
Interval newcombe_paired(std::size_t both, std::size_t only_a, std::size_t only_b, std::size_t neither);
/// Each p times how many are left, none below one before it in their order; at most 1. Absent ones stay so and do not
/// count.
std::vector<std::optional<double>> holm(std::span<const std::optional<double>> p);

}  // namespace proctor
