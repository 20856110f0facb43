// The metrics of generated text by name: what they say of a prediction and its references. One row each.
// docs/metrics.md.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "orchestrator/metrics/metric_value.h"

namespace proctor {

/// Among several references the best counts, or, of BLEU and its like, all of them as sacrebleu has it.
MetricValue text_metric(const std::string& name, const std::string& prediction, std::span<const std::string> references,
                        const nlohmann::json& options);
std::vector<std::string> text_metric_names();
/// A row's name, or pass@K, maj@K, avg@K (repeats.h).
bool is_text_metric(const std::string& name);
/// Throws UsageError for an option that it does not have, or of a wrong type.
void check_text_metric_options(const std::string& name, const nlohmann::json& options, const std::string& where);

}  // namespace proctor
