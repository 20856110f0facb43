// Metrics that are the user's Python, only with --allow-code. What runs them is told by an interface: production asks
// Python (sidecar/). docs/metrics.md.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

namespace proctor {

/// `function` of `file`: prediction, references, doc -> a number, or true or false.
struct CodeMetric {
  std::string file, function;
  auto operator<=>(const CodeMetric&) const = default;
};

struct ScoredText {
  std::string prediction;  ///< filtered
  std::vector<std::string> references;
  const nlohmann::ordered_json* document = nullptr;
};

/// A score, or why there is none.
struct CodeScore {
  double value = 0;
  std::string error;
};

class CodeMetrics {
 public:
  virtual ~CodeMetrics() = default;
  /// Throws InputError where the file cannot be read by Python or has no such function.
  virtual void check(const CodeMetric& metric) = 0;
  /// Of each text, in their order. Any thread; throws nothing that a metric is to blame for.
  virtual std::vector<CodeScore> score(const CodeMetric& metric, std::span<const ScoredText> texts) = 0;
};

}  // namespace proctor
