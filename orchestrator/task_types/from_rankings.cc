// fuse and filter: each query's rankings, which other modules have answered, become one, without a model; trec_eval's
// measures against qrels.
#include <unordered_map>
#include <unordered_set>

#include "orchestrator/task_types/ranking.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

/// A query's, as rows over rankings have them (planning/chain).
std::vector<std::vector<Ranked>> lists_of(const Document& row) {
  std::vector<std::vector<Ranked>> lists;
  for (const auto& answer : row.row.at("rankings")) {
    std::vector<Ranked>& list = lists.emplace_back();
    for (std::size_t i = 0; i < answer.at("order").size(); ++i)
      list.push_back({answer["order"][i].get<std::string>(), answer.at("scores").at(i).get<double>()});
  }
  return lists;
}

class FromRankings final : public RankingTaskType {
 public:
  explicit FromRankings(Candidates candidates) : candidates_(candidates) {}
  std::vector<RequestType> request_types() const override { return {RequestType::retrieve}; }
  std::vector<std::string> default_metrics() const override { return {"ndcg_cut_10"}; }
  Candidates candidates() const override { return candidates_; }
  const char* split_of_answers() const override { return "candidates"; }

  std::optional<CellRequests> build(const TaskTemplates& task, DocumentLimit limit, Search) const override {
    RetrievalData data = read_retrieval_data(task, limit);
    std::unordered_map<std::string, const Document*> rows;
    for (const Document& row : task.rows) rows.emplace(id_of(row), &row);
    if (task.task->upstream->missing == Missing::skip)
      std::erase_if(data.queries, [&](const Document& query) { return !rows.contains(id_of(query)); });
    CellRequests cell;
    std::unordered_set<std::string> used;
    for (Document& query : data.queries) {
      const auto row = rows.find(id_of(query));
      if (row == rows.end())
        throw InputError(query.where() + ": query " + id_of(query) + " has no answer to task " +
                         task.task->upstream->task + "; both tasks need the same queries");
      query.failure = row->second->failure;
      cell.first_request.push_back(static_cast<std::uint32_t>(cell.requests.size()));
      if (!query.failure.empty()) continue;
      Retrieve ask{id_of(query), lists_of(*row->second)};
      for (const auto& list : ask.lists)
        for (const Ranked& one : list) used.insert(one.passage);
      cell.requests.push_back({{}, std::move(ask)});
    }
    cell.first_request.push_back(static_cast<std::uint32_t>(cell.requests.size()));
    std::erase_if(data.corpus, [&](const Document& passage) { return !used.erase(id_of(passage)); });
    if (!used.empty())
      throw InputError("passage " + *used.begin() + ", found for task " + task.task->upstream->task + ", is not in " +
                       task.task->data.at("corpus").front() + "; both tasks need the same corpus");
    cell.passages = passages_of(task, data.corpus);
    cell.documents = std::move(data.queries);
    return cell;
  }

 protected:
  std::vector<QueryRanking> rankings(const CellRequests& cell, std::span<const Response> responses) const override {
    return answered_rankings(cell, responses);
  }
  QueryRanking foreseen(const CellRequests& cell, std::size_t query, std::size_t top) const override {
    QueryRanking ranking;
    std::unordered_set<std::string> seen;
    for (std::uint32_t r = cell.first_request[query]; r < cell.first_request[query + 1]; ++r)
      for (const auto& list : std::get<Retrieve>(cell.requests[r].ask).lists)
        for (const Ranked& one : list)
          if (ranking.passages.size() < top && seen.insert(one.passage).second) ranking.passages.push_back(one);
    return ranking;
  }

 private:
  Candidates candidates_;
};

}  // namespace

const TaskType& fuse() {
  static const FromRankings type(TaskType::Candidates::several);
  return type;
}

const TaskType& filter() {
  static const FromRankings type(TaskType::Candidates::one);
  return type;
}

}  // namespace proctor
