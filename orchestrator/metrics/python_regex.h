// Patterns of Python's re, written for PCRE2: the same matches whatever version of PCRE2 and of Unicode's classes it
// has. What Python refuses, or what is not translated, is refused by name. Source: docs.python.org/3/library/re.html.
#pragma once

#include <string>

namespace proctor {

/// The pattern for pcre2_compile with PCRE2_UTF | PCRE2_UCP. Throws UsageError; `where` names the place in the YAML.
std::string pcre2_pattern(const std::string& python_pattern, const std::string& where);

}  // namespace proctor
