#include <algorithm>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/code_points.h"
#include "orchestrator/metrics/regex.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

struct Row {
  const char* name;
  const TaskType& (*type)();
};
constexpr Row kTable[] = {{"multiple_choice", multiple_choice},
                          {"loglikelihood", loglikelihood},
                          {"loglikelihood_rolling", loglikelihood_rolling},
                          {"generate_until", generate_until},
                          {"requests", requests},
                          {"rerank", rerank},
                          {"fuse", fuse},
                          {"filter", filter},
                          {"retrieval", retrieval},
                          {"similarity", similarity},
                          {"compress", compress}};

std::vector<Template> compile_list(const std::optional<TemplateList>& list, const std::string& where) {
  std::vector<Template> out;
  if (!list) return out;
  if (const auto* one = std::get_if<std::string>(&*list)) {
    out.emplace_back(*one, where);
  } else {
    for (const std::string& text : std::get<std::vector<std::string>>(*list)) out.emplace_back(text, where);
  }
  return out;
}

}  // namespace

const TaskType& find_task_type(const std::string& name, const std::string& where) {
  std::vector<std::string> known;
  for (const Row& row : kTable) {
    if (name == row.name) return row.type();
    known.push_back(row.name);
  }
  throw UsageError(where + ": task type '" + name + "' is not known (known: " + quoted_list(known) + ")");
}

const TaskType& task_type_of(const Task& task) { return find_task_type(task.type, task.file); }

TaskTemplates compile(const Task& task) {
  const auto where = [&](const char* key) { return task.file + ": task " + task.name + ": " + key; };
  TaskTemplates out;
  out.task = &task;
  out.prompt = std::make_unique<Template>(task.prompt, where("prompt"));
  out.answer = std::make_unique<Template>(task.answer, where("answer"));
  out.gen_prefix = std::make_unique<Template>(task.gen_prefix, where("gen_prefix"));
  out.text = std::make_unique<Template>(task.text, where("text"));
  out.query = std::make_unique<Template>(task.query, where("query"));
  out.document = std::make_unique<Template>(task.document, where("document"));
  out.left = std::make_unique<Template>(task.left, where("left"));
  out.right = std::make_unique<Template>(task.right, where("right"));
  out.score = std::make_unique<Template>(task.score, where("score"));
  out.question = std::make_unique<Template>(task.question, where("question"));
  out.choices = compile_list(task.choices, where("choices"));
  out.images = compile_list(task.images, where("images"));
  out.labels = compile_list(task.labels, where("labels"));
  out.target = compile_list(task.target, where("target"));
  for (const std::string& text : task.contexts) out.contexts.emplace_back(text, where("contexts"));
  return out;
}

std::vector<std::string> render_list(const std::vector<Template>& templates, const Document& document) {
  std::vector<std::string> texts;
  if (templates.size() == 1) {
    const nlohmann::ordered_json value = templates[0].value(document);
    if (value.is_array()) {
      for (const auto& item : value) texts.push_back(python::str(item));
      if (texts.empty()) throw InputError(document.where() + ": '" + templates[0].text() + "' gives an empty list");
      return texts;
    }
    return {python::str(value)};
  }
  for (const Template& one : templates) texts.push_back(one.render(document));
  return texts;
}

std::string cleaned(const Task& task, std::string text) {
  for (const CleanStep& step : task.clean) switch (step.what) {
      case CleanStep::What::trim:
        text = python::strip(text);
        break;
      case CleanStep::What::replace:
        text = replaced(text, step.pattern, step.by);
        break;
      case CleanStep::What::remove:
        text = Regex(step.pattern, "clean").remove_all(text);
        break;
    }
  return text;
}

std::vector<Part> with_end(std::vector<Part> context, std::string end) {
  context.emplace_back(std::move(end));
  return context;
}

std::string TaskType::question(const TaskTemplates& task, const Document& document) const {
  return cleaned(*task.task, task.prompt->render(document));
}

std::vector<FilterPipeline> filters_of(const Task& task) {
  if (!task.filters.empty()) return task.filters;
  if (!task_type_of(task).is_scored()) return {};
  FilterPipeline first;
  first.steps.emplace_back();
  first.steps.back().function = "take_first";
  return {first};
}

std::string first_error(std::span<const Response> responses) {
  for (const Response& response : responses)
    if (!response.error.empty()) return response.error;
  return "";
}

bool wants(const Task& task, const std::string& metric) {
  return std::any_of(task.metrics.begin(), task.metrics.end(), [&](const Metric& m) { return m.name == metric; });
}

std::string quoted_list(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

}  // namespace proctor
