// Values that Python reads out of a text: float() and ast.literal_eval() of a list. Texts are UTF-8. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace proctor::python {

/// float(text), or none where Python raises ValueError. Digits of any script count.
std::optional<double> to_float(std::string_view text);

/// The elements of a list of texts and numbers, as str() writes them: "['a', \"b\\n\", 3]". Anything else (tuples,
/// lists in lists, text behind the list): none.
std::optional<std::vector<std::string>> list_literal(std::string_view text);

}  // namespace proctor::python
