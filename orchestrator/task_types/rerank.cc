// Rerank: each query with its candidates, scored as pairs and sorted by the scores; trec_eval's measures against qrels.
// Candidates as a TREC run or as AutoRAG's results.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <unordered_map>
#include <unordered_set>

#include "orchestrator/data/documents.h"
#include "orchestrator/data/text_file.h"
#include "orchestrator/task_types/ranking.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

struct Candidate {
  std::string passage;
  std::size_t line = 0;
  double score = 0;  // of a TREC run
};

/// Of each query its candidates, the best first.
class CandidateLists {
 public:
  /// A TREC run (lines: query Q0 passage rank score run), whose scores decide, as in trec_eval, and among equals the
  /// order of the file; or rows as AutoRAG's results have them: _id, the query's, and retrieved_ids.
  /// Of a task over answers: what those ranked.
  explicit CandidateLists(const TaskTemplates& task) {
    if (task.task->upstream) {
      path_ = "the answers to task " + task.task->upstream->task;
      for (const Document& row : task.rows) add_row(row);
      return;
    }
    path_ = task.task->data.at("candidates").front();
    const std::string name = unpacked_name(path_);
    if (name.ends_with(".jsonl") || name.ends_with(".json") || name.ends_with(".parquet"))
      read_rows(task.tables);
    else
      read_run();
    if (all_.empty()) throw InputError(path_ + ": holds no candidates");
  }
  const std::string& name() const { return path_; }
  /// Why there are none of a query; "": there are, or nobody has asked.
  std::string failure_of(const std::string& query) const {
    const auto found = failures_.find(query);
    return found == failures_.end() ? "" : found->second;
  }
  bool knows(const std::string& query) const { return known_.contains(query); }
  /// Null where there are none.
  const std::vector<Candidate>* of(const std::string& query) const {
    const auto found = all_.find(query);
    return found == all_.end() || found->second.empty() ? nullptr : &found->second;
  }

 private:
  void read_run() {
    constexpr std::size_t kColumns[] = {6};
    each_line(path_, kColumns, [&](std::size_t number, const std::vector<std::string>& parts) {
      if (parts.size() != 6)
        throw InputError(path_ + ":" + std::to_string(number) +
                         ": expected a TREC run's six columns (query Q0 passage rank score run), found " +
                         std::to_string(parts.size()));
      char* end = nullptr;
      const double score = std::strtod(parts[4].c_str(), &end);
      if (end == parts[4].c_str() || *end != '\0' || std::isnan(score))
        throw InputError(path_ + ":" + std::to_string(number) + ": score '" + parts[4] + "' is no number");
      add(parts[0], {parts[2], number, score});
    });
    for (auto& [query, mine] : all_) std::ranges::stable_sort(mine, std::greater(), &Candidate::score);
  }
  void read_rows(TableReader* tables) {
    for (const Document& row : read_documents({&path_, 1}, tables)) add_row(row);
  }
  void add_row(const Document& row) {
    const auto ids = row.row.find("retrieved_ids");
    const std::string query = id_of(row);
    if (!row.failure.empty()) {
      failures_[query] = row.failure;
      return;
    }
    known_.insert(query);
    if (ids == row.row.end() || !ids->is_array())
      throw InputError(row.where() + ": \"retrieved_ids\" is missing, or no list");
    if (all_.contains(query)) throw InputError(row.where() + ": _id " + query + " is used twice");
    for (const auto& value : *ids) {
      const auto id = as_id(value);
      if (!id)
        throw InputError(row.where() + ": retrieved_ids: " + value.dump() + " is neither a text nor a whole number");
      add(query, {*id, row.number});
    }
  }
  void add(const std::string& query, Candidate candidate) {
    std::vector<Candidate>& mine = all_[query];
    for (const Candidate& earlier : mine)
      if (earlier.passage == candidate.passage)
        throw InputError(path_ + ":" + std::to_string(candidate.line) + ": query " + query + " has passage " +
                         candidate.passage + " twice");
    mine.push_back(std::move(candidate));
  }

  std::string path_;
  std::unordered_map<std::string, std::vector<Candidate>> all_;
  std::unordered_map<std::string, std::string> failures_;
  std::unordered_set<std::string> known_;  // queries
};

class Rerank final : public RankingTaskType {
 public:
  std::vector<RequestType> request_types() const override { return {RequestType::score_pair}; }
  std::vector<std::string> default_metrics() const override { return {"ndcg_cut_10"}; }
  Candidates candidates() const override { return Candidates::one; }
  const char* split_of_answers() const override { return "candidates"; }

  /// A query with its candidates is a document, so a bundle: its passages are scored by one worker.
  std::optional<CellRequests> build(const TaskTemplates& task, DocumentLimit limit, Search) const override {
    RetrievalData data = read_retrieval_data(task, limit);
    const CandidateLists candidates(task);
    if (task.task->upstream && task.task->upstream->missing == Missing::skip)
      std::erase_if(data.queries, [&](const Document& query) { return !candidates.knows(id_of(query)); });
    const std::string& file = candidates.name();
    std::unordered_map<std::string, const Document*> passages;
    for (const Document& passage : data.corpus) passages.emplace(id_of(passage), &passage);
    CellRequests pair;
    for (Document& query : data.queries) {
      const std::vector<Candidate>* const mine = candidates.of(id_of(query));
      query.failure = candidates.failure_of(id_of(query));
      if (!query.failure.empty() || (!mine && candidates.knows(id_of(query)))) {  // knows: its answer counts as empty
        pair.first_request.push_back(static_cast<std::uint32_t>(pair.requests.size()));
        continue;
      }
      if (!mine) throw InputError(query.where() + ": query " + id_of(query) + " has no candidates in " + file);
      pair.first_request.push_back(static_cast<std::uint32_t>(pair.requests.size()));
      for (const Candidate& candidate : *mine) {
        const auto passage = passages.find(candidate.passage);
        if (passage == passages.end())
          throw InputError(file + ":" + std::to_string(candidate.line) + ": passage " + candidate.passage +
                           " is not in " + task.task->data.at("corpus").front());
        pair.requests.push_back({{task.query->render(query), task.document->render(*passage->second)},
                                 ScorePair{id_of(query), candidate.passage}});
      }
    }
    pair.first_request.push_back(static_cast<std::uint32_t>(pair.requests.size()));
    pair.documents = std::move(data.queries);
    return pair;
  }

 protected:
  std::vector<QueryRanking> rankings(const CellRequests& pair, std::span<const Response> responses) const override {
    std::vector<QueryRanking> all(pair.documents.size());
    for (std::size_t d = 0; d < all.size(); ++d) {
      auto& [passages, failure] = all[d];
      failure = pair.documents[d].failure;
      for (std::uint32_t r = pair.first_request[d]; r < pair.first_request[d + 1]; ++r) {
        const std::string& passage = std::get<ScorePair>(pair.requests[r].ask).passage;
        if (responses[r].error.empty())
          passages.push_back({passage, std::get<ScorePairAnswer>(responses[r].answer).score});
        else
          failure = "passage " + passage + ": " + responses[r].error;
      }
      sort_as_trec_eval(passages);
    }
    return all;
  }
  QueryRanking foreseen(const CellRequests& pair, std::size_t query, std::size_t top) const override {
    QueryRanking ranking;
    for (std::uint32_t r = pair.first_request[query]; r < pair.first_request[query + 1]; ++r)
      if (ranking.passages.size() < top)
        ranking.passages.push_back({std::get<ScorePair>(pair.requests[r].ask).passage});
    return ranking;
  }
};

}  // namespace

const TaskType& rerank() {
  static const Rerank type;
  return type;
}

}  // namespace proctor
