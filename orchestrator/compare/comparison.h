// Two sides compared: every metric of every task that both have, over the documents that both answered.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "orchestrator/compare/paired.h"
#include "orchestrator/compare/side.h"

namespace proctor {

struct ComparedMetric {
  TaskKey key;
  std::set<std::string> tasks = {};  ///< of a group: those whose documents it holds, as one
  bool higher_is_better = true;
  std::size_t only_a = 0, only_b = 0;  ///< documents that one side alone has a value of
  std::vector<Pair> pairs;             ///< in the order of A's samples
  PairedResult result;                 ///< its wins count documents on which that side is better
  std::optional<double> p_adjusted;    ///< Holm's, over all that are compared
};

struct Comparison {
  std::vector<ComparedMetric> metrics;
  std::set<std::string> tasks_of_a, tasks_of_b;  ///< that one side alone has
};

/// A group that both have is a line of its own, behind those of its tasks: their documents together, as lm-eval's group
/// row weighs tasks by their size. `tasks`: those alone, or a group's; empty: all. `cluster`: a field of the rows,
/// whose documents are not independent; or "". Throws UsageError where the sides share no task, or lack one that is
/// asked for.
Comparison compare(const Side& a, const Side& b, const std::vector<std::string>& tasks, const std::string& cluster);

/// Whether B is worse by more than `margin` (of the metric's own size), and its adjusted p at most 0.05.
bool is_worse(const ComparedMetric& metric, double margin);

}  // namespace proctor
