// Whose answers a task reads: tasks over another task's answers (docs/chains.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace proctor {

/// How the best of several modules is chosen: by the means of its metrics over the documents.
struct BestChoice {
  enum class Strategy { mean, rank, normalize_mean };
  std::vector<std::string> metrics;  ///< names as in the task's `metrics`
  Strategy strategy = Strategy::mean;
  std::optional<double> at_most_tokens;  ///< of an answer, on the average; where nobody keeps to it, all are candidates
};

/// What becomes of a document whose earlier request failed: it fails too, by name; it is left out; or its answer is
/// taken for an empty one.
enum class Missing { fail, skip, empty };

/// A (module, task) by their names.
struct Source {
  std::string module, task;
  auto operator<=>(const Source&) const = default;
};

struct Upstream {
  enum class Of { each, module, several, best, pair };
  std::string task;  ///< as its file calls it
  Of of = Of::each;
  std::vector<std::string> modules;  ///< of `module` the one, of `several` all, of `pair` the two
  BestChoice best;
  std::optional<std::size_t> top;  ///< passages of a ranking
  Missing missing = Missing::fail;
  std::string where;  ///< file:line:column, for messages
  /// The cells that it reads: of a pair and of several all, in this order; of `best` those that one is chosen of; else
  /// one.
  std::vector<Source> sources;
};

}  // namespace proctor
