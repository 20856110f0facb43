// A results file as lm-eval's Markdown table.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace proctor {

/// lm-eval's table (Tasks|Version|Filter|n-shot|Metric| |Value| |Stderr) from a results file, and a second one for
/// groups.
std::string results_table(const nlohmann::ordered_json& results);
/// What stands beside a module's name above its table: its dtype; of a guest its engine, and whether it repeats itself.
std::string results_heading(const nlohmann::ordered_json& results);

}  // namespace proctor
