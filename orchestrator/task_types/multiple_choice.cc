// Multiple choice: one loglikelihood request a choice; the choices stand in the continuation, or (contexts) in the
// context.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

class MultipleChoice final : public TaskType {
 public:
  std::vector<RequestType> request_types() const override { return {RequestType::loglikelihood}; }
  std::vector<std::string> default_metrics() const override { return {"acc", "acc_norm"}; }
  std::vector<std::string> metrics() const override {
    return {"acc", "acc_norm", "acc_bytes", "exact_match", "probability_mass", "brier_score",
            "ece", "mcc",      "f1",        "f1_macro",    "f1_micro",         "f1_weighted"};
  }

  std::string question(const TaskTemplates& task, const Document& document) const override {
    return task.contexts.empty() ? TaskType::question(task, document) : "";
  }
  std::string example_question(const TaskTemplates& task, const Document& document) const override {
    return task.contexts.empty() ? TaskType::question(task, document)
                                 : options(task, document).at(gold(task, document).front());
  }
  std::string example_answer(const TaskTemplates& task, const Document& document) const override {
    return task.contexts.empty() ? options(task, document).at(gold(task, document).front())
                                 : continuation(task, document);
  }

  std::vector<std::string> questions(const TaskTemplates& task, const Document& document) const override {
    return task.contexts.empty() ? TaskType::questions(task, document) : options(task, document);
  }

  std::vector<Request> requests(const TaskTemplates& task, const Document& document,
                                const Prompt& prompt) const override {
    const std::vector<std::string> texts = options(task, document);
    gold(task, document);  // an answer out of range is found before anything runs
    const bool in_context = !task.contexts.empty();
    std::vector<Request> out;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::string end = in_context ? continuation(task, document) : texts[i];
      if (end.empty() && prompt.target_delimiter.empty())
        throw InputError(document.where() + ": a choice is empty, so there is nothing to score (task " +
                         task.task->name + ")");
      out.push_back({with_end(prompt.contexts.at(in_context ? i : 0), prompt.target_delimiter + end),
                     Loglikelihood{task.task->on_long}});
    }
    return out;
  }

  MetricValues score(const TaskTemplates& task, const Document& document, std::span<const Response> responses,
                     const FilterPipeline&) const override {
    const std::vector<std::string> texts = options(task, document);
    const std::vector<std::size_t> right = gold(task, document);
    const auto is_right = [&](std::size_t i) {
      return MetricValue{std::ranges::find(right, i) != right.end() ? 1.0 : 0.0};
    };
    const auto answer = [&](std::size_t i) { return std::get<LoglikelihoodAnswer>(responses[i].answer); };
    const auto best = [&](auto&& weight) {
      std::size_t winner = 0;
      double highest = -INFINITY;
      for (std::size_t i = 0; i < responses.size(); ++i)
        if (const double value = answer(i).loglikelihood / weight(texts[i]); value > highest)
          highest = value, winner = i;
      return winner;
    };
    MetricValues values;
    if (wants(*task.task, "acc")) values["acc"] = is_right(best([](const std::string&) { return 1.0; }));
    if (wants(*task.task, "acc_norm"))
      values["acc_norm"] = is_right(best([](const std::string& t) { return static_cast<double>(python::length(t)); }));
    if (wants(*task.task, "acc_bytes"))
      values["acc_bytes"] = is_right(best([](const std::string& t) { return static_cast<double>(t.size()); }));
    if (wants(*task.task, "exact_match"))
      values["exact_match"] = {std::ranges::any_of(right, [&](std::size_t i) { return answer(i).is_greedy; }) ? 1.0
                                                                                                              : 0.0};
    add_probabilities(task, responses, right, best([](const std::string&) { return 1.0; }), values);
    return values;
  }

  nlohmann::ordered_json answer(const TaskTemplates& task, const Document& document,
                                std::span<const Response> responses) const override {
    std::size_t chosen = 0;
    const auto of = [&](std::size_t i) { return std::get<LoglikelihoodAnswer>(responses[i].answer).loglikelihood; };
    for (std::size_t i = 1; i < responses.size(); ++i)
      if (of(i) > of(chosen)) chosen = i;
    return {{"text", options(task, document).at(chosen)}, {"choice", chosen}, {"score", of(chosen)}};
  }

  std::string target(const TaskTemplates& task, const Document& document) const override {
    if (!task.labels.empty()) return std::to_string(gold(task, document)[0]);  // lm-eval's tasks turn them into places
    return python::str(task.answer->value(document));
  }

 private:
  /// What needs the probabilities of the choices among themselves, or who was taken for whom. Of several right choices
  /// the first is the class.
  static void add_probabilities(const TaskTemplates& task, std::span<const Response> responses,
                                const std::vector<std::size_t>& right, std::size_t chosen, MetricValues& values) {
    std::vector<double> p;
    double sum = 0;
    const auto of = [&](std::size_t i) { return std::get<LoglikelihoodAnswer>(responses[i].answer).loglikelihood; };
    for (std::size_t i = 0; i < responses.size(); ++i) sum += p.emplace_back(std::exp(of(i) - of(chosen)));
    for (double& one : p) one /= sum;
    const auto is_right = [&](std::size_t i) { return std::ranges::find(right, i) != right.end(); };
    double mass = 0, squares = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
      mass += is_right(i) ? p[i] : 0;
      squares += std::pow(p[i] - (i == right[0] ? 1 : 0), 2);
    }
    if (wants(*task.task, "probability_mass")) values["probability_mass"] = {mass};
    if (wants(*task.task, "brier_score")) values["brier_score"] = {squares};
    if (wants(*task.task, "ece")) values["ece"] = {p[chosen], is_right(chosen) ? 1.0 : 0.0};
    for (const char* name : {"mcc", "f1", "f1_macro", "f1_micro", "f1_weighted"})
      if (wants(*task.task, name)) values[name] = {static_cast<double>(right[0]), static_cast<double>(chosen)};
  }

  static std::vector<std::string> options(const TaskTemplates& task, const Document& document) {
    const std::vector<Template>& templates = task.contexts.empty() ? task.choices : task.contexts;
    if (templates.size() == 1 && !templates[0].value(document).is_array())
      throw InputError(document.where() + ": '" + templates[0].text() +
                       "' gives no list of choices but one value (task " + task.task->name + ")");
    std::vector<std::string> texts = render_list(templates, document);
    for (std::string& text : texts) text = cleaned(*task.task, std::move(text));
    if (texts.empty()) throw InputError(document.where() + ": the row has no choices (task " + task.task->name + ")");
    return texts;
  }
  static std::string continuation(const TaskTemplates& task, const Document& document) {
    return render_list(task.target, document).at(0);
  }

  /// Indices of the right choices: of a label, a number, digits, a letter, true or false, a choice's text, or of each
  /// in a list of them.
  static std::vector<std::size_t> gold(const TaskTemplates& task, const Document& document) {
    const nlohmann::ordered_json value = task.answer->value(document);
    const std::vector<std::string> texts = options(task, document);
    std::vector<std::size_t> out;
    for (const auto& one : value.is_array() ? value : nlohmann::ordered_json::array({value})) {
      if (task.labels.empty())
        out.push_back(index(task, document, one, texts));
      else
        std::ranges::move(labelled(task, document, one, texts), std::back_inserter(out));
    }
    if (out.empty())
      throw InputError(document.where() + ": the answer is an empty list (task " + task.task->name + ")");
    return out;
  }

  /// Every choice of that label.
  static std::vector<std::size_t> labelled(const TaskTemplates& task, const Document& document,
                                           const nlohmann::ordered_json& value, const std::vector<std::string>& texts) {
    const std::vector<std::string> labels = render_list(task.labels, document);
    if (labels.size() != texts.size())
      throw InputError(document.where() + ": " + std::to_string(labels.size()) + " labels for " +
                       std::to_string(texts.size()) + " choices (task " + task.task->name + ")");
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < labels.size(); ++i)
      if (labels[i] == python::str(value)) found.push_back(i);
    if (found.empty())
      throw InputError(document.where() + ": answer " + value.dump() + " is none of the labels " + quoted_list(labels) +
                       " (task " + task.task->name + ")");
    return found;
  }

  /// Digits, or a letter from A on: the place it names, else past every choice.
  static std::size_t place_of(const std::string& text) {
    const bool digits =
        !text.empty() && text.size() < 10 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
    if (digits) return std::stoul(text);
    const char letter = text.size() == 1 ? text[0] : ' ';
    if (letter >= 'A' && letter <= 'Z') return static_cast<std::size_t>(letter - 'A');
    if (letter >= 'a' && letter <= 'z') return static_cast<std::size_t>(letter - 'a');
    return std::string::npos;
  }

  /// The only choice that reads "true" or "yes" (or "false", "no"), however it is written; past every choice if there
  /// is none.
  static std::size_t truth(bool value, const std::vector<std::string>& texts) {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::string text = python::lower(python::strip(texts[i]));
      if (value ? text == "true" || text == "yes" : text == "false" || text == "no") found.push_back(i);
    }
    return found.size() == 1 ? found[0] : texts.size();
  }

  /// A number is an index. Digits and letters are one too, unless they are another choice's text: then nobody can tell.
  static std::size_t index(const TaskTemplates& task, const Document& document, const nlohmann::ordered_json& value,
                           const std::vector<std::string>& texts) {
    if (value.is_boolean())
      if (const std::size_t one = truth(value.get<bool>(), texts); one < texts.size()) return one;
    const std::string text = python::str(value);
    const std::size_t number = std::min(place_of(text), texts.size());
    const auto same = static_cast<std::size_t>(std::ranges::find(texts, text) - texts.begin());
    if (number < texts.size() && same < texts.size() && number != same && !value.is_number())
      throw InputError(document.where() + ": answer " + value.dump() + " is the text of choice " +
                       std::to_string(same) + " and the place of choice " + std::to_string(number) +
                       " (from 0): make it a number, which is an index, or give `labels` (task " + task.task->name +
                       ")");
    if (number < texts.size()) return number;
    if (same < texts.size()) return same;
    throw InputError(document.where() + ": answer " + value.dump() + " is neither one of the " +
                     std::to_string(texts.size()) + " choices nor an index or letter of one (task " + task.task->name +
                     ")");
  }
};

}  // namespace

const TaskType& multiple_choice() {
  static const MultipleChoice type;
  return type;
}

}  // namespace proctor
