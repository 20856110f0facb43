// Which known name somebody may have meant.
#pragma once

#include <set>
#include <string>

namespace proctor {

/// By the number of letters that differ (Levenshtein's distance); "" if none is near.
std::string nearest(const std::string& name, const std::set<std::string>& known);

}  // namespace proctor
