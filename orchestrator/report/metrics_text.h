// Figures of a run as OpenMetrics text (https://prometheus.io/docs/specs/om/open_metrics_spec/), for the textfile
// collector of Prometheus' node exporter. All are gauges, whose form is the same in Prometheus' own text format.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sharding/protocol/ledger.h"

namespace proctor {

class MetricsText {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;
  /// `labels`: of every figure.
  explicit MetricsText(Labels labels) : labels_(std::move(labels)) {}
  /// Figures of one name stand together, in the order in which they were added. A unit is the end of the name.
  void add(const std::string& name, const std::string& help, double value, const Labels& labels = {});
  std::string text() const;

 private:
  Labels labels_;
  std::vector<std::string> names_;
  std::map<std::string, std::string> families_;  // by name: what is said of it, and its lines
};

/// Visits by verdict, bytes that they left, joules that somebody measured.
void add_ledger_metrics(MetricsText& text, const std::vector<LedgerLine>& ledger);

}  // namespace proctor
