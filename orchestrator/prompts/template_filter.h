// What may stand behind a `|` in a template: a fixed list of filters, each of which makes one value of another. Pure.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace proctor {

/// What templates are not, for messages.
extern const char* const kTemplateBridge;

/// Throws InputError for a value that it cannot change.
using TemplateFilter = std::function<nlohmann::ordered_json(const nlohmann::ordered_json& value)>;
/// `trim`, `wrap("(", ")")`. Throws UsageError naming the filters there are; `where` names file, line and key.
TemplateFilter parse_template_filter(const std::string& expression, const std::string& where);

/// Without outer spaces.
std::string trimmed(std::string text);
/// The text in quotation marks at `at`, which is behind it afterwards; nothing where it is not closed. \n and \t are
/// a line's end and a tab; any other letter behind a \ stands for itself.
std::optional<std::string> quoted(const std::string& expression, std::size_t& at);

}  // namespace proctor
