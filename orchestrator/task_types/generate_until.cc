// Generation: text up to a stop string, filtered and compared with one or several accepted texts.
#include <algorithm>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/repeats.h"
#include "orchestrator/metrics/text_metric_table.h"
#include "orchestrator/metrics/verdicts.h"
#include "orchestrator/task_types/generation.h"
#include "orchestrator/task_types/row_options.h"

namespace proctor {
namespace {

/// Of the texts drawn of a document, each scored by the metric `by`.
double over_repeats(const RepeatMetric& metric, std::span<const std::string> texts,
                    std::span<const std::string> accepted, nlohmann::json options) {
  const std::string by = options.value("by", "exact_match");
  options.erase("by");
  const auto score = [&](const std::string& text) { return text_metric(by, text, accepted, options).value; };
  if (metric.kind == RepeatMetric::Kind::majority) return score(texts[majority_of(texts, metric.k)]);
  const bool average = metric.kind == RepeatMetric::Kind::average;
  double sum = 0;
  for (const std::string& text : average ? texts.first(metric.k) : texts)
    sum += average ? score(text) : static_cast<double>(score(text) >= 1);
  if (average) return sum / static_cast<double>(metric.k);
  return pass_at(texts.size(), static_cast<std::size_t>(sum), metric.k);
}

bool compares(const Task& task) { return task.upstream && task.upstream->of == Upstream::Of::pair; }

class GenerateUntil final : public TaskType {
 public:
  std::vector<RequestType> request_types() const override { return {RequestType::generate_until}; }
  std::vector<std::string> default_metrics() const override { return {"exact_match"}; }
  std::vector<std::string> metrics() const override {
    std::vector<std::string> names = text_metric_names();
    for (const char* of_several : {"pass@K", "maj@K", "avg@K", "preference", "consistency"})
      names.emplace_back(of_several);
    return names;
  }
  bool has_metric(const std::string& name) const override { return is_text_metric(name) || is_verdict(name); }
  bool takes_code() const override { return true; }
  std::string example_answer(const TaskTemplates& task, const Document& document) const override {
    return render_list(task.target, document).at(0);
  }

  /// Of two answers twice, the second time in the other order.
  std::vector<std::string> questions(const TaskTemplates& task, const Document& document) const override {
    std::vector<std::string> all = {question(task, document)};
    if (!compares(*task.task)) return all;
    Document swapped = document;
    std::swap(swapped.row.at("first"), swapped.row.at("second"));
    all.push_back(question(task, swapped));
    return all;
  }
  std::vector<Request> requests(const TaskTemplates& task, const Document& document,
                                const Prompt& prompt) const override {
    render_list(task.target, document);
    std::vector<Request> all;
    for (const std::vector<Part>& context : prompt.contexts)
      for (std::int64_t i = 0; i < task.task->generation.repeats; ++i)
        all.push_back({context, generation_of(*task.task)});
    return all;
  }
  MetricValues score(const TaskTemplates& task, const Document& document, std::span<const Response> responses,
                     const FilterPipeline& filter) const override {
    const std::vector<std::string> texts = answers_of(responses);
    const FilterPipeline steps = of_row(filter, document);
    const std::vector<std::string> filtered = apply_filter(steps, texts), accepted = render_list(task.target, document);
    MetricValues values;
    std::vector<std::string> each;  // filtered by itself; where some metric is of them
    for (const Metric& metric : task.task->metrics) {
      if (!metric.code.empty()) continue;  // scored some documents at a time (cell_score.cc)
      const auto repeats = repeat_metric(metric.name);
      if (is_verdict(metric.name)) {
        const std::string verdicts[] = {apply_filter(steps, {texts.front()}).at(0),
                                        apply_filter(steps, {texts.back()}).at(0)};
        values[metric.name].value =
            verdict(metric.name, verdicts, {metric.options.value("first", "A"), metric.options.value("second", "B")});
        continue;
      }
      if (repeats && each.empty())
        for (const std::string& text : texts) each.push_back(apply_filter(steps, {text}).at(0));
      const nlohmann::json options = of_row(metric.options, document);
      values[metric.name] = repeats ? MetricValue{over_repeats(*repeats, each, accepted, options)}
                                    : text_metric(metric.name, filtered.at(0), accepted, options);
    }
    return values;
  }
  std::string target(const TaskTemplates& task, const Document& document) const override {
    if (task.target.empty()) return "";  // of a judge, who compares with nothing
    if (task.target.size() == 1) return python::str(task.target[0].value(document));
    return python::repr(nlohmann::ordered_json(render_list(task.target, document)));
  }
};

}  // namespace

const TaskType& generate_until() {
  static const GenerateUntil type;
  return type;
}

}  // namespace proctor
