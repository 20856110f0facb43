// What a task type knows: the requests of a document and the scores of its responses. One file each; the table is in
// task_types.cc. Pure.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "orchestrator/data/table_reader.h"
#include "orchestrator/metrics/code_metric.h"
#include "orchestrator/metrics/filters.h"
#include "orchestrator/metrics/metric_value.h"
#include "orchestrator/prompts/template.h"
#include "orchestrator/spec/document_limit.h"
#include "orchestrator/spec/suite.h"
#include "orchestrator/task_types/cell.h"
#include "sharding/protocol/request.h"

namespace proctor {

/// A task with its templates compiled.
struct TaskTemplates {
  const Task* task = nullptr;
  TableReader* tables = nullptr;   ///< nullptr: no data file needs it
  CodeMetrics* code = nullptr;     ///< nullptr: no metric is the user's code
  std::vector<Document> rows;      ///< over answers: what stands for the rows of a file
  bool rows_are_foreseen = false;  ///< nothing has been answered yet: what is wrong with a row is wrong with the task
  std::unique_ptr<Template> prompt, answer, text, gen_prefix;
  std::unique_ptr<Template> query, document, left, right, score, question;  ///< retrieval; similarity; compress
  std::vector<Template> choices, labels, target, contexts,
      images;  ///< one placeholder that gives a list, or a list of templates
};

/// How a retrieval's passages are found: every text is embedded by the module, or the queries alone are asked and the
/// module, without a model, looks for their words in the corpus.
enum class Search { vectors, words };

/// What comes before an answer.
struct Prompt {
  std::vector<std::vector<Part>> contexts;  ///< one; where the choices stand in the context, one a choice
  std::string target_delimiter;             ///< between it and a choice
};

/// A context with what is scored behind it.
std::vector<Part> with_end(std::vector<Part> context, std::string end);

/// What lm-eval puts on a sample line, beside the scores.
struct SampleParts {
  std::string target;
  nlohmann::ordered_json arguments;  ///< list of lists of texts, one per request
  nlohmann::ordered_json responses;  ///< resps: one list per request
};

/// What a cell has been answered.
struct CellAnswers {
  std::span<const Response> responses;  ///< none needed where the rankings are known
  Rankings rankings = {};               ///< as they were found when it was scored
};

/// Of a document, what a task over these answers reads as `answer`.
struct ReadAnswer {
  nlohmann::ordered_json value = {};
  std::string failure = {};  ///< why there is none
};

class TaskType {
 public:
  virtual ~TaskType() = default;
  /// Of the requests that such a task makes.
  virtual std::vector<RequestType> request_types() const = 0;
  virtual std::vector<std::string> default_metrics() const = 0;
  virtual std::vector<std::string> metrics() const = 0;
  virtual bool has_metric(const std::string& name) const {
    const std::vector<std::string> all = metrics();
    return std::find(all.begin(), all.end(), name) != all.end();
  }
  /// The question of a few-shot example or of the evaluated document, and the example's answer.
  virtual std::string question(const TaskTemplates& task, const Document& document) const;
  virtual std::string example_question(const TaskTemplates& task, const Document& document) const {
    return question(task, document);
  }
  virtual std::string example_answer(const TaskTemplates& task, const Document& document) const = 0;
  /// What is asked at last; several where each choice is a question of its own.
  virtual std::vector<std::string> questions(const TaskTemplates& task, const Document& document) const {
    return {question(task, document)};
  }
  /// Throws InputError naming the row.
  virtual std::vector<Request> requests(const TaskTemplates& task, const Document& document,
                                        const Prompt& prompt) const = 0;
  /// Of types whose requests are not each a document's: all of them, of `limit` documents at most.
  virtual std::optional<CellRequests> build(const TaskTemplates&, DocumentLimit /*limit*/, Search) const {
    return std::nullopt;
  }
  /// Whether its figures are of the whole set, not means over documents.
  virtual bool scores_as_set() const { return false; }
  /// Of such types: everything that score_cell says.
  virtual std::optional<CellScore> score_set(const TaskTemplates&, const CellRequests&,
                                             std::span<const Response>) const {
    return std::nullopt;
  }
  /// Scores of one document under one filter: `responses` are its requests', none failed.
  virtual MetricValues score(const TaskTemplates& task, const Document& document, std::span<const Response> responses,
                             const FilterPipeline& filter) const = 0;
  virtual std::string target(const TaskTemplates& task, const Document& document) const = 0;
  /// Whether tasks over its answers can read something of them.
  virtual bool can_be_read() const { return true; }
  /// Whether its answers are rankings: `order`, `passages`, `scores`.
  virtual bool ranks_passages() const { return false; }
  /// Of which rankings it reads as `candidates` beside queries, corpus and qrels, where it does.
  enum class Candidates { none, one, several };
  virtual Candidates candidates() const { return Candidates::none; }
  /// Which of its data can be another task's answers.
  virtual const char* split_of_answers() const { return "test"; }
  /// For tasks over answers: what each document's is, of rankings the first `top` passages.
  virtual std::vector<ReadAnswer> read(const TaskTemplates& task, const CellRequests& cell, const CellAnswers& answered,
                                       std::size_t top) const;
  /// The same before anything has been computed, as it could come out: to look at templates, and for estimates.
  virtual std::vector<ReadAnswer> foresee(const TaskTemplates& task, const CellRequests& cell, std::size_t top) const;
  /// Whether its metrics may be Python functions of a text and its targets.
  virtual bool takes_code() const { return false; }
  /// False: the answers themselves are the result (responses/), there are no metrics and no samples.
  virtual bool is_scored() const { return true; }

 protected:
  /// One document's, whose requests have all been answered; its metrics are added to it.
  virtual nlohmann::ordered_json answer(const TaskTemplates& task, const Document& document,
                                        std::span<const Response> responses) const;
};

/// A type that is scored as a set and has no examples: what remains are build() or requests(), and score_set().
class SetTaskType : public TaskType {
 public:
  bool scores_as_set() const final { return true; }
  bool can_be_read() const override { return false; }
  std::string question(const TaskTemplates&, const Document&) const final { return ""; }
  std::string example_answer(const TaskTemplates&, const Document&) const final { return ""; }
  std::string target(const TaskTemplates&, const Document&) const override { return ""; }
  std::vector<Request> requests(const TaskTemplates&, const Document&, const Prompt&) const override { return {}; }
  MetricValues score(const TaskTemplates&, const Document&, std::span<const Response>,
                     const FilterPipeline&) const final {
    return {};
  }
};

/// Throws UsageError naming the types there are; `where` names file and line.
const TaskType& find_task_type(const std::string& name, const std::string& where);
const TaskType& task_type_of(const Task& task);

/// Throws UsageError where a template is not well formed.
TaskTemplates compile(const Task& task);

/// The texts of a template list for a row: a single placeholder that gives a list, or each template rendered.
std::vector<std::string> render_list(const std::vector<Template>& templates, const Document& document);

/// By the task's `clean` steps, in their order.
std::string cleaned(const Task& task, std::string text);

/// Those of the task; where it names none and is scored, one that takes the first text.
std::vector<FilterPipeline> filters_of(const Task& task);
/// Why a document has no score: the first of its responses that failed; "": all are well.
std::string first_error(std::span<const Response> responses);
bool wants(const Task& task, const std::string& metric);
std::string quoted_list(const std::vector<std::string>& names);

const TaskType& multiple_choice();
const TaskType& loglikelihood();
const TaskType& loglikelihood_rolling();
const TaskType& generate_until();
const TaskType& requests();
const TaskType& rerank();
const TaskType& fuse();
const TaskType& filter();
const TaskType& retrieval();
const TaskType& similarity();
const TaskType& compress();

}  // namespace proctor
