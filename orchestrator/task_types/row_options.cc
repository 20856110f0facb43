#include "orchestrator/task_types/row_options.h"

#include "orchestrator/prompts/template.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

bool is_placeholder(const Json& option) {
  if (!option.is_string()) return false;
  const auto& text = option.get_ref<const std::string&>();
  return text.starts_with("{{") && text.find("}}") == text.size() - 2;
}

/// The option with `change` applied to each placeholder.
template <class Change>
Json changed(const Json& option, Change change) {
  if (is_placeholder(option)) return change(option.get<std::string>());
  if (!option.is_array()) return option;
  Json list = Json::array();
  for (const Json& one : option) list.push_back(is_placeholder(one) ? change(one.get<std::string>()) : one);
  return list;
}

}  // namespace

Json of_row(const Json& options, const Document& document) {
  Json out = options;
  for (Json& option : out)
    option = changed(option, [&](const std::string& text) { return Json(Template(text, "option").value(document)); });
  return out;
}

FilterPipeline of_row(FilterPipeline pipeline, const Document& document) {
  for (FilterStep& step : pipeline.steps) step.options = of_row(step.options, document);
  return pipeline;
}

void check_row_options(const Json& options, const std::string& where) {
  for (const Json& option : options)
    changed(option, [&](const std::string& text) { return Json(Template(text, where).text()); });
}

}  // namespace proctor
