// lm-eval's filters by their names, and option_letter, on the responses of one document.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/spec/suite.h"

namespace proctor {

/// Throws UsageError naming the filters there are, or a wrong option; `where` names the place in the YAML.
void check_filter(const FilterPipeline& pipeline, const std::string& where);

/// The pipeline's steps over a document's responses; an empty pipeline keeps them.
std::vector<std::string> apply_filter(const FilterPipeline& pipeline, std::vector<std::string> responses);

}  // namespace proctor
