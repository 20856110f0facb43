#include "orchestrator/prompts/template.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "orchestrator/cpython/python_text.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

/// Of a name without quotation marks. Letters outside ASCII are bytes from 0x80 on.
bool name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

std::vector<Template::Step> Template::parse_path(const std::string& raw, const std::string& where) {
  const std::string expression = trimmed(raw);
  std::vector<Step> path;
  std::size_t at = 0;
  const auto bad = [&] { return UsageError(where + ": '{{" + raw + "}}' is not a field" + kTemplateBridge); };
  if (expression.starts_with("field[\"") || expression.starts_with("field['")) at = 5;  // the row itself
  const bool of_row = at > 0;
  while (at < expression.size()) {
    if (expression[at] == '[') {
      if (path.empty() && !of_row) throw bad();
      if (++at < expression.size() && (expression[at] == '"' || expression[at] == '\'')) {
        std::optional<std::string> name = quoted(expression, at);
        if (!name || at >= expression.size() || expression[at++] != ']') throw bad();
        path.emplace_back(std::move(*name));
        continue;
      }
      const std::size_t end = expression.find(']', at);
      const std::string index = end == std::string::npos ? "" : expression.substr(at, end - at);
      if (path.empty() || index.empty() || index.size() > 9 ||
          !std::all_of(index.begin(), index.end(), [](char c) { return c >= '0' && c <= '9'; }))
        throw bad();
      path.emplace_back(static_cast<std::size_t>(std::stoul(index)));
      at = end + 1;
      continue;
    }
    if (!path.empty() && expression[at++] != '.') throw bad();
    const std::size_t begin = at;
    while (at < expression.size() && name_character(expression[at])) ++at;
    if (at == begin) throw bad();
    path.emplace_back(expression.substr(begin, at - begin));
  }
  if (path.empty()) throw bad();
  return path;
}

/// Behind a `|` that stands outside of quotation marks.
Template::Part Template::parse_placeholder(const std::string& expression, const std::string& where) {
  std::vector<std::string> pieces(1);
  char mark = 0;
  for (const char c : expression) {
    if (mark == 0 && (c == '"' || c == '\''))
      mark = c;
    else if (c == mark)
      mark = 0;
    if (c == '|' && mark == 0)
      pieces.emplace_back();
    else
      pieces.back() += c;
  }
  Part part{"", parse_path(pieces[0], where)};
  for (std::size_t i = 1; i < pieces.size(); ++i) part.filters.push_back(parse_template_filter(pieces[i], where));
  return part;
}

nlohmann::ordered_json Template::filtered(const Part& part, const Document& document) const {
  nlohmann::ordered_json value = find(part, document);
  try {
    for (const TemplateFilter& filter : part.filters) value = filter(value);
  } catch (const InputError& error) {
    throw InputError(document.where() + ": the template '" + text_ + "': " + error.what());
  }
  return value;
}

Template::Template(const std::string& text, const std::string& where) : text_(text) {
  for (const char* code : {"{%", "{#"})
    if (text.find(code) != std::string::npos)
      throw UsageError(where + ": '" + code + "' begins Jinja code" + kTemplateBridge);
  std::size_t done = 0;
  for (std::size_t open = text.find("{{"); open != std::string::npos; open = text.find("{{", done)) {
    const std::size_t close = text.find("}}", open + 2);
    if (close == std::string::npos) throw UsageError(where + ": '{{' is not closed by '}}'");
    if (open > done) parts_.push_back({text.substr(done, open - done), {}});
    parts_.push_back(parse_placeholder(text.substr(open + 2, close - open - 2), where));
    done = close + 2;
  }
  if (done < text.size()) parts_.push_back({text.substr(done), {}});
}

const nlohmann::ordered_json& Template::find(const Part& part, const Document& document) const {
  const nlohmann::ordered_json* value = &document.row;
  std::string place;  // so far
  for (const Step& step : part.path) {
    const auto* key = std::get_if<std::string>(&step);
    const bool there = key ? value->is_object() && value->contains(*key)
                           : value->is_array() && std::get<std::size_t>(step) < value->size();
    if (!there) {
      const bool inside = value != &document.row && value->is_object();
      std::string fields;
      for (const auto& [name, unused] : (inside ? *value : document.row).items())
        fields += (fields.empty() ? "" : ", ") + name;
      throw InputError(document.where() + ": the row has no " +
                       (key ? "field '" + *key + "'" : "element " + std::to_string(std::get<std::size_t>(step))) +
                       ", which the template '" + text_ + "' needs (" + (inside ? "its " + place : "the row") +
                       " has: " + fields + ")");
    }
    place += key ? (place.empty() ? "" : ".") + *key : "[" + std::to_string(std::get<std::size_t>(step)) + "]";
    value = key ? &value->at(*key) : &value->at(std::get<std::size_t>(step));
  }
  return *value;
}

std::string Template::render(const Document& document) const {
  std::string out;
  for (const Part& part : parts_) out += part.path.empty() ? part.literal : python::str(filtered(part, document));
  return out;
}

nlohmann::ordered_json Template::value(const Document& document) const {
  if (parts_.size() != 1 || parts_[0].path.empty()) return render(document);
  return filtered(parts_[0], document);
}

nlohmann::ordered_json* Template::place_in(Document& document) const {
  if (parts_.size() != 1 || parts_[0].path.empty() || !parts_[0].filters.empty()) return nullptr;
  nlohmann::ordered_json* value = &document.row;
  for (const Step& step : parts_[0].path) {
    const auto* key = std::get_if<std::string>(&step);
    const auto* index = std::get_if<std::size_t>(&step);
    if (key && value->is_object() && value->contains(*key))
      value = &value->at(*key);
    else if (index && value->is_array() && *index < value->size())
      value = &value->at(*index);
    else
      return nullptr;
  }
  return value;
}

std::vector<std::string> Template::columns() const {
  std::vector<std::string> names;
  for (const Part& part : parts_)
    if (!part.path.empty())
      if (const auto* name = std::get_if<std::string>(&part.path.front())) names.push_back(*name);
  return names;
}

bool Template::has_placeholder() const {
  return std::any_of(parts_.begin(), parts_.end(), [](const Part& part) { return !part.path.empty(); });
}

}  // namespace proctor
