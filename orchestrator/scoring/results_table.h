// A results file as lm-eval's Markdown table.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace proctor {

/// lm-eval's table (Tasks|Version|Filter|n-shot|Metric| |Value| |Stderr) from a results file, and a second one for
/// groups.
std::string results_table(const nlohmann::ordered_json& results);

}  // namespace proctor
