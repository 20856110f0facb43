// The line on standard error that says why proctor ended: text for a person, or JSON for a program (--errors json).
#pragma once

#include <string>

namespace proctor {

enum class ErrorStyle { text, json };

/// Without its line end. `message`: of an Error; `code`: what the process ends with. JSON:
/// {"error": MESSAGE, "exit": CODE, "file": PATH, "line": N, "column": N}, with null for what the message does not
/// name.
std::string error_line(ErrorStyle style, const std::string& message, int code);

}  // namespace proctor
