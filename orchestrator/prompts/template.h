// `{{field}}`, `{{a.b}}`, `{{a[0]}}`, each with filters of a fixed list behind it (`{{a | trim}}`), and literal text;
// nothing else. No code in configs: whatever Jinja could do beyond this is refused when the suite is read and points to
// the lm-eval bridge.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "orchestrator/data/document.h"
#include "orchestrator/prompts/template_filter.h"

namespace proctor {

class Template {
 public:
  /// Throws UsageError; `where` names file, line and key.
  Template(const std::string& text, const std::string& where);

  /// Values rendered as Python's str(). Throws InputError naming the row where a field is missing.
  std::string render(const Document& document) const;
  /// A template that is one placeholder gives the value with its type; any other its text.
  nlohmann::ordered_json value(const Document& document) const;
  bool has_placeholder() const;
  /// The row's value that a template of one placeholder names; nullptr of any other, and where there is none.
  nlohmann::ordered_json* place_in(Document& document) const;
  /// The columns that its placeholders begin with.
  std::vector<std::string> columns() const;
  const std::string& text() const { return text_; }

 private:
  using Step = std::variant<std::string, std::size_t>;  // a key, or an index
  struct Part {
    std::string literal;
    std::vector<Step> path;  // a placeholder if not empty
    std::vector<TemplateFilter> filters = {};
  };
  static Part parse_placeholder(const std::string& expression, const std::string& where);
  static std::vector<Step> parse_path(const std::string& expression, const std::string& where);
  const nlohmann::ordered_json& find(const Part& part, const Document& document) const;
  nlohmann::ordered_json filtered(const Part& part, const Document& document) const;

  std::string text_;
  std::vector<Part> parts_;
};

}  // namespace proctor
