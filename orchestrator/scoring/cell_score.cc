#include "orchestrator/scoring/cell_score.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/hashes.h"
#include "orchestrator/task_types/generation.h"
#include "orchestrator/task_types/row_options.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using python::Ascii;

/// A response that a filter cannot read (a pattern past its match limit) costs its document, not the run.
MetricValues score_one(const TaskTemplates& task, const TaskType& type, Answered& one, const FilterPipeline& filter) {
  if (!one.failure.empty()) return {};
  try {
    return type.score(task, *one.document, one.responses, filter);
  } catch (const Error& error) {
    one.failure = error.what();
  }
  return {};
}

}  // namespace

CellScorer::CellScorer(const TaskTemplates& task, const CellRequests& cell, std::filesystem::path spool_folder,
                       StderrOptions options)
    : task_(task),
      cell_(cell),
      options_(options),
      type_(task_type_of(*task.task)),
      filters_(filters_of(*task.task)),
      spool_(std::move(spool_folder)) {
  whole_set_ = type_.scores_as_set();
  if (whole_set_) {
    kept_.resize(cell.requests.size());
    return;
  }
  tables_.resize(std::max<std::size_t>(1, filters_.size()));
  for (Table& table : tables_) table.lines.resize(cell.documents.size());
  for (Table& table : tables_) table.scored.resize(cell.documents.size());
  hashes_.resize(type_.is_scored() ? cell.documents.size() : 0);
  for (std::size_t d = 0; d < cell.documents.size(); ++d)
    if (!cell.documents[d].failure.empty()) score(d, {});
}

std::size_t CellScorer::document_of(std::uint32_t request) const {
  const auto after = std::ranges::upper_bound(cell_.first_request, request);
  return static_cast<std::size_t>(after - cell_.first_request.begin()) - 1;
}

void CellScorer::add(std::span<const std::uint32_t> requests, std::vector<Response> responses) {
  if (whole_set_) {
    for (std::size_t i = 0; i < requests.size(); ++i) kept_[requests[i]] = std::move(responses[i]);
    return;
  }
  std::vector<std::pair<std::size_t, std::vector<Response>>> complete;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const std::size_t d = document_of(requests[i]);
    const std::uint32_t first = cell_.first_request[d], count = cell_.first_request[d + 1] - first;
    Waiting& document = waiting_[d];  // most often all of it comes at once
    document.responses.resize(count);
    document.responses[requests[i] - first] = std::move(responses[i]);
    if (++document.answered < count) continue;
    complete.emplace_back(d, std::move(document.responses));
    waiting_.erase(d);
  }
  score_by_code(complete);
  for (const auto& [d, responses] : complete) score(d, responses);
}

void CellScorer::score_by_code(std::span<const std::pair<std::size_t, std::vector<Response>>> complete) {
  for (const Metric& metric : task_.task->metrics) {
    if (metric.code.empty()) continue;
    PROCTOR_CHECK(task_.code, "whoever has metrics in Python has what runs them");
    for (std::size_t f = 0; f < filters_.size(); ++f) {
      std::vector<ScoredText> texts;
      std::vector<std::size_t> of;  // of each text: its document
      for (const auto& [d, responses] : complete) {
        if (!first_error(responses).empty()) continue;
        try {
          texts.push_back({apply_filter(of_row(filters_[f], cell_.documents[d]), answers_of(responses)).at(0),
                           render_list(task_.target, cell_.documents[d]), &cell_.documents[d].row});
          of.push_back(d);
        } catch (const Error&) {  // it costs the document where it is scored
        }
      }
      const std::vector<CodeScore> scores = task_.code->score({metric.code, metric.name}, texts);
      for (std::size_t i = 0; i < of.size(); ++i) code_scores_[{of[i], f}][metric.name] = scores.at(i);
    }
  }
}

/// Under every filter, in their order: one that cannot read a response costs the document that filter and those behind.
void CellScorer::score(std::size_t d, std::span<const Response> responses) {
  const std::uint32_t first = cell_.first_request[d];
  Answered one{&cell_.documents[d], d, std::span(cell_.requests).subspan(first, responses.size()), responses,
               responses.empty() ? cell_.documents[d].failure : first_error(responses)};
  for (const Response& response : responses) {
    truncated_ += truncated_of(response.answer) > 0;
    count_trace(response.answer);
  }
  if (!type_.is_scored()) {
    tables_[0].lines[d] = spool_.put(response_line(one));
  } else {
    SampleHashes& hashes = hashes_[d];
    hashes.document = sha256(python::json_dumps(one.document->row, Ascii::keep, 2));
    hashes.prompt = sha256(one.requests.empty() ? "" : shown_context(one.requests.front()));
    hashes.target = sha256(type_.target(task_, *one.document));
  }
  for (std::size_t f = 0; f < filters_.size(); ++f) {
    Table& table = tables_[f];
    MetricValues values = score_one(task_, type_, one, filters_[f]);
    if (const auto coded = code_scores_.extract({d, f}); !coded.empty() && one.failure.empty())
      for (const auto& [name, said] : coded.mapped()) {
        values[name] = {said.value};
        if (!said.error.empty()) one.failure = name + ": " + said.error;
      }
    if (!one.failure.empty()) values.clear();
    for (const auto& [name, value] : values) {
      std::vector<MetricValue>& column = table.columns[name];
      if (column.empty()) column.resize(cell_.documents.size());
      column[d] = value;
    }
    table.scored[d] = !values.empty();
    table.lines[d] = spool_.put(sample_line(task_, type_, one, filters_[f], values, hashes_[d]));
  }
  if (!one.failure.empty()) failures_.emplace(d, one.document->where() + ": " + one.failure);
}

void CellScorer::count_trace(const Answer& answer) {
  const auto* generated = std::get_if<GenerateAnswer>(&answer);
  if (!generated || !generated->trace) return;
  if (!traces_) traces_.emplace();
  traces_->unfinished += generated->trace->end == ReasoningTrace::End::none;
  traces_->at_budget += generated->trace->end == ReasoningTrace::End::budget;
  traces_->trace_tokens.push_back(generated->trace->tokens);
  traces_->answer_tokens.push_back(generated->tokens - generated->trace->tokens);
}

CellScore CellScorer::finish() {
  if (whole_set_) return *type_.score_set(task_, cell_, kept_);
  CellScore score;
  Sha256 hashes;
  for (std::size_t f = 0; f < tables_.size(); ++f) {
    Table& table = tables_[f];
    for (const SampleHashes& of_document : hashes_)
      for (const Digest* one : {&of_document.document, &of_document.prompt, &of_document.target}) hashes.add_hex(*one);
    for (auto& [name, column] : table.columns) {
      std::size_t kept = 0;  // of those that were scored, in the documents' order
      for (std::size_t d = 0; d < column.size(); ++d)
        if (table.scored[d]) column[kept++] = column[d];
      column.resize(kept);
      score.metrics.push_back(
          {name, filters_[f].name, aggregate(name, column, options_.sum), standard_error(name, column, options_)});
    }
  }
  for (auto& [document, failure] : failures_) score.failures.push_back(std::move(failure));
  score.documents = cell_.documents.size();
  score.effective = score.documents - score.failures.size();
  score.truncated = truncated_;
  score.traces = std::move(traces_);
  if (score.traces)
    for (auto* tokens : {&score.traces->trace_tokens, &score.traces->answer_tokens}) std::ranges::sort(*tokens);
  score.task_hash = hashes.hex();
  return score;
}

std::string CellScorer::samples() {
  std::string all;
  for (const Table& table : tables_) all += spool_.text(table.lines);
  return all;
}

CellScore score_cell(const TaskTemplates& task, const CellRequests& cell, std::span<const Response> responses,
                     const StderrOptions& options) {
  CellScorer scorer(task, cell, std::filesystem::temp_directory_path(), options);
  std::vector<std::uint32_t> all(responses.size());
  std::iota(all.begin(), all.end(), 0u);
  scorer.add(all, {responses.begin(), responses.end()});
  CellScore score = scorer.finish();
  score.samples += scorer.samples();
  return score;
}

}  // namespace proctor
