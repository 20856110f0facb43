// A (module, task), scored: from its documents and responses to figures and sample lines. Documents are scored as their
// responses come, in any order; what comes out is in the documents' order, the same bytes whatever came first.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "orchestrator/metrics/aggregation.h"
#include "orchestrator/scoring/sample_line.h"
#include "orchestrator/scoring/spool.h"
#include "orchestrator/task_types/task_type.h"

namespace proctor {

/// One thread at a time.
class CellScorer {
 public:
  /// Task and cell outlive this; `spool_folder`: where sample lines wait (spool.h).
  CellScorer(const TaskTemplates& task, const CellRequests& cell, std::filesystem::path spool_folder,
             StderrOptions options);
  /// Answers of these requests of the cell, each once. Throws what a full disk makes the spool throw.
  void add(std::span<const std::uint32_t> requests, std::vector<Response> responses);
  /// Once every request was answered: the figures, and of a set its samples.
  CellScore finish();
  /// After finish(): the sample lines of the others, in the documents' order.
  std::string samples();

 private:
  /// What one filter makes of the documents.
  struct Table {
    std::vector<Spool::Place> lines;
    std::map<std::string, std::vector<MetricValue>> columns;  // by metric; of documents that are scored
    std::vector<bool> scored;
  };
  using CodeScores = std::map<std::string, CodeScore>;  // by metric
  struct Waiting {
    std::vector<Response> responses;
    std::size_t answered = 0;
  };
  std::size_t document_of(std::uint32_t request) const;
  void score(std::size_t document, std::span<const Response> responses);
  void count_trace(const Answer& answer);
  /// Of documents whose answers are complete: what the user's Python says of them, under each filter.
  void score_by_code(std::span<const std::pair<std::size_t, std::vector<Response>>> complete);

  const TaskTemplates& task_;
  const CellRequests& cell_;
  StderrOptions options_;
  const TaskType& type_;
  std::vector<FilterPipeline> filters_;
  bool whole_set_ = false;
  std::vector<Response> kept_;  // of types that are scored as a set
  std::unordered_map<std::size_t, Waiting> waiting_;
  Spool spool_;
  std::vector<Table> tables_;
  std::vector<SampleHashes> hashes_;
  std::map<std::size_t, std::string> failures_;
  std::map<std::pair<std::size_t, std::size_t>, CodeScores> code_scores_;  // by document and filter, until it is scored
  std::size_t truncated_ = 0;
  std::optional<TraceFigures> traces_;
};

/// All at once.
CellScore score_cell(const TaskTemplates& task, const CellRequests& cell, std::span<const Response> responses,
                     const StderrOptions& options);

}  // namespace proctor
