// The rules of Python's str and json that decide lm-eval's prompts, hashes and lengths (docs/python-rules.md). Texts
// are UTF-8; "code points" is Python's len().
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace proctor::python {

using Json = nlohmann::ordered_json;

std::size_t length(std::string_view text);  ///< len(text): code points
bool is_space(char32_t code_point);         ///< str.isspace() of one character
std::string strip(std::string_view text);   ///< text.strip()
bool begins_with_space(std::string_view text);
bool ends_with_space(std::string_view text);
std::size_t count_words(std::string_view text);         ///< len(re.split(r"\s+", text))
std::vector<std::string> split(std::string_view text);  ///< text.split()
std::string lower(std::string_view text);               ///< text.lower(), with the final sigma
std::string capitalize(std::string_view text);          ///< text.capitalize()
std::string upper(std::string_view text);               ///< text.upper(): "ß" becomes "SS"
std::string float_repr(double value);                   ///< repr(value)
std::string str(const Json& value);                     ///< str(value), as Jinja renders it
std::string repr(const Json& value);
enum class Ascii { escape, keep };
/// json.dumps(value, ensure_ascii=..., indent=...); indent < 0: none, with ", " and ": ".
std::string json_dumps(const Json& value, Ascii ascii, int indent = -1);

}  // namespace proctor::python
