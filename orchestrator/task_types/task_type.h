// What a task type knows: the requests of a document and the scores of its responses. One file each; the table is in
// task_types.cc. Pure.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "orchestrator/prompts/template.h"
#include "orchestrator/scoring/filters.h"
#include "sharding/request.h"
#include "sharding/suite.h"

namespace proctor {

/// A task with its templates compiled.
struct TaskTemplates {
  const Task* task;
  std::unique_ptr<Template> prompt, answer, text;
  std::vector<Template> choices, target, contexts;  ///< one placeholder that gives a list, or a list of templates
};

/// One scored value of one document: a number; or (log-likelihood, weight) for perplexities.
struct MetricValue {
  double value = 0, weight = 1;
};
using MetricValues = std::map<std::string, MetricValue>;

/// What lm-eval puts on a sample line, beside the scores.
struct SampleParts {
  std::string target;
  nlohmann::ordered_json arguments;  ///< list of lists of texts, one per request
  nlohmann::ordered_json responses;  ///< resps: one list per request
};

class TaskType {
 public:
  virtual ~TaskType() = default;
  virtual std::string request_type() const = 0;
  virtual std::vector<std::string> default_metrics() const = 0;
  virtual std::vector<std::string> metrics() const = 0;
  /// The question of a few-shot example or of the evaluated document, and the example's answer.
  virtual std::string question(const TaskTemplates& task, const Document& document) const;
  virtual std::string example_question(const TaskTemplates& task, const Document& document) const {
    return question(task, document);
  }
  virtual std::string example_answer(const TaskTemplates& task, const Document& document) const = 0;
  /// `context`: the assembled prompt. Throws InputError naming the row.
  virtual std::vector<Request> requests(const TaskTemplates& task, const Document& document,
                                        const std::string& context) const = 0;
  /// Scores of one document under one filter: `responses` are its requests', none failed.
  virtual MetricValues score(const TaskTemplates& task, const Document& document, std::span<const Response> responses,
                             const FilterPipeline& filter) const = 0;
  virtual std::string target(const TaskTemplates& task, const Document& document) const = 0;
  /// False: the answers themselves are the result (responses/), there are no metrics and no samples.
  virtual bool is_scored() const { return true; }
};

/// Throws UsageError naming the types there are; `where` names file and line.
const TaskType& find_task_type(const std::string& name, const std::string& where);
const TaskType& task_type_of(const Task& task);

/// Throws UsageError where a template is not well formed.
TaskTemplates compile(const Task& task);

/// The texts of a template list for a row: a single placeholder that gives a list, or each template rendered.
std::vector<std::string> render_list(const std::vector<Template>& templates, const Document& document);

bool wants(const Task& task, const std::string& metric);
std::string quoted_list(const std::vector<std::string>& names);

const TaskType& multiple_choice();
const TaskType& loglikelihood();
const TaskType& loglikelihood_rolling();
const TaskType& generate_until();
const TaskType& requests();

}  // namespace proctor
