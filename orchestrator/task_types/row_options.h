// Options of metrics and filters that differ from row to row: one that is a single placeholder ("{{category}}"), or a
// list of such, stands for the row's value. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "orchestrator/data/document.h"
#include "orchestrator/spec/suite.h"

namespace proctor {

/// The options with the row's values. Throws InputError naming the row where a field is missing.
nlohmann::json of_row(const nlohmann::json& options, const Document& document);
FilterPipeline of_row(FilterPipeline pipeline, const Document& document);
/// Throws UsageError where such a template is not well formed; `where` names the place in the YAML.
void check_row_options(const nlohmann::json& options, const std::string& where);

}  // namespace proctor
