// Metrics of generated text against one reference.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace proctor {

/// lm-eval's exact_match: regexes_to_ignore, ignore_case, ignore_punctuation, ignore_numbers, in that order. 1 or 0.
double exact_match(std::string prediction, std::string reference, const nlohmann::json& options);
/// Throws UsageError for an unknown option.
void check_exact_match_options(const nlohmann::json& options, const std::string& where);

}  // namespace proctor
