// What retrieval and rerank have in common: BEIR's files, trec_eval's measures, queries measured by their rankings.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "orchestrator/metrics/retrieval_metrics.h"
#include "orchestrator/spec/suite.h"
#include "orchestrator/task_types/cell.h"
#include "orchestrator/task_types/task_type.h"

namespace proctor {

constexpr std::size_t kMeasuredPassages = 1000;  ///< of a ranking, as MTEB and BEIR do

class RankingScore;

class RankingTaskType : public SetTaskType {
 public:
  std::optional<CellScore> score_set(const TaskTemplates& task, const CellRequests& cell,
                                     std::span<const Response> responses) const final;
  bool can_be_read() const final { return true; }
  bool ranks_passages() const final { return true; }
  std::vector<ReadAnswer> read(const TaskTemplates& task, const CellRequests& cell, const CellAnswers& answered,
                               std::size_t top) const final;
  std::vector<ReadAnswer> foresee(const TaskTemplates& task, const CellRequests& cell, std::size_t top) const final;
  std::vector<std::string> metrics() const final { return retrieval_metric_examples(); }
  bool has_metric(const std::string& name) const final { return is_retrieval_metric(name); }

 protected:
  /// Of each query.
  virtual std::vector<QueryRanking> rankings(const CellRequests& cell, std::span<const Response> responses) const = 0;
  /// Failures that are no query's.
  virtual void note_failures(RankingScore&, const CellRequests&, std::span<const Response>) const {}
  /// Of a query the first passages that could be found, before anything is known of them.
  virtual QueryRanking foreseen(const CellRequests& cell, std::size_t query, std::size_t top) const = 0;
};

/// An id: a text or a whole number; nothing for anything else.
std::optional<std::string> as_id(const nlohmann::ordered_json& value);
/// Calls `act` with each line's number, from 1, and its fields: parted by tabs where they then come to one of `sizes`,
/// so that an id may have blanks, else by white space. Blank lines are skipped.
void each_line(const std::string& path, std::span<const std::size_t> sizes,
               const std::function<void(std::size_t number, const std::vector<std::string>& fields)>& act);

/// A row's "_id", a text or a whole number. Throws InputError naming the row.
std::string id_of(const Document& document);

struct RetrievalData {
  std::vector<Document> queries, corpus;  ///< queries: those judged, in file order, `limit` of them at most
};
/// Throws InputError: an id used twice, a judgment of a query or passage that is not there, two that differ (with its
/// line).
RetrievalData read_retrieval_data(const TaskTemplates& task, DocumentLimit limit);

/// The corpus as the task's `document` writes it.
std::shared_ptr<const std::vector<Passage>> passages_of(const TaskTemplates& task, std::span<const Document> corpus);
/// Of a cell whose answers are rankings: each query's.
std::vector<QueryRanking> answered_rankings(const CellRequests& cell, std::span<const Response> responses);

/// The qrels, by query: BEIR's query-id, corpus-id, score, with or without its header line; or TREC's query, iteration,
/// passage, relevance.
std::map<std::string, Judgments> read_judgments(const Task& task);

/// The figures and sample lines of queries, one by one in their order.
class RankingScore {
 public:
  explicit RankingScore(const Task& task) : task_(task), judgments_(read_judgments(task)) {}
  /// Of each query its ranking, of which the first kMeasuredPassages are measured, and kept in the score.
  void add(std::span<const Document> queries, std::vector<QueryRanking> rankings);
  void count_truncated(std::size_t requests) { score_.truncated += requests; }
  void note_failure(const std::string& what) { score_.failures.push_back(what); }
  CellScore take();

 private:
  void add(const Document& query, std::span<const Ranked> ranking);
  void fail(const Document& query, const std::string& why);
  nlohmann::ordered_json begin_line(const Document& query);
  void end_line(nlohmann::ordered_json line, const Document& query);
  const Task& task_;
  std::map<std::string, Judgments> judgments_;
  std::map<std::string, std::vector<double>> columns_;
  std::string hashes_;
  std::shared_ptr<std::vector<QueryRanking>> rankings_ = std::make_shared<std::vector<QueryRanking>>();
  CellScore score_;
};

}  // namespace proctor
