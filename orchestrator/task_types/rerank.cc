// Rerank: each query with its candidates, scored as pairs and sorted by the scores; trec_eval's measures against qrels.
// Candidates as a TREC run.
#include <fstream>
#include <iterator>
#include <sstream>
#include <unordered_map>

#include "orchestrator/task_types/ranking.h"
#include "sharding/error.h"

namespace proctor {
namespace {

struct Candidate {
  std::string passage;
  std::size_t line = 0;
};

/// Of each query its candidates, in the order of the file. Lines: query Q0 passage rank score run.
std::unordered_map<std::string, std::vector<Candidate>> read_candidates(const std::string& path) {
  std::ifstream stream(path);
  std::unordered_map<std::string, std::vector<Candidate>> all;
  std::string text;
  for (std::size_t number = 1; std::getline(stream, text); ++number) {
    std::istringstream fields(text);
    const std::vector<std::string> parts{std::istream_iterator<std::string>(fields), {}};
    if (parts.empty()) continue;
    if (parts.size() != 6)
      throw InputError(path + ":" + std::to_string(number) +
                       ": expected a TREC run's six columns (query Q0 passage rank score run), found " +
                       std::to_string(parts.size()));
    for (const Candidate& earlier : all[parts[0]])
      if (earlier.passage == parts[2])
        throw InputError(path + ":" + std::to_string(number) + ": query " + parts[0] + " has passage " + parts[2] +
                         " twice");
    all[parts[0]].push_back({parts[2], number});
  }
  if (all.empty()) throw InputError(path + ": holds no candidates");
  return all;
}

class Rerank final : public RankingTaskType {
 public:
  std::string request_type() const override { return "score_pair"; }
  std::vector<std::string> default_metrics() const override { return {"ndcg_cut_10"}; }

  /// A query with its candidates is a document, so a bundle: its passages are scored by one worker.
  std::optional<PairRequests> build(const TaskTemplates& task, std::size_t limit) const override {
    RetrievalData data = read_retrieval_data(*task.task, limit);
    const std::string& file = task.task->data.at("candidates");
    const auto candidates = read_candidates(file);
    std::unordered_map<std::string, const Document*> passages;
    for (const Document& passage : data.corpus) passages.emplace(id_of(passage), &passage);
    PairRequests pair;
    for (const Document& query : data.queries) {
      const auto mine = candidates.find(id_of(query));
      if (mine == candidates.end())
        throw InputError(query.where() + ": query " + id_of(query) + " has no candidates in " + file);
      pair.first_request.push_back(static_cast<std::uint32_t>(pair.requests.size()));
      for (const Candidate& candidate : mine->second) {
        const auto passage = passages.find(candidate.passage);
        if (passage == passages.end())
          throw InputError(file + ":" + std::to_string(candidate.line) + ": passage " + candidate.passage +
                           " is not in " + task.task->data.at("corpus"));
        pair.requests.push_back({{task.query->render(query), task.document->render(*passage->second)},
                                 {{"type", "score_pair"}, {"passage", candidate.passage}}});
      }
    }
    pair.first_request.push_back(static_cast<std::uint32_t>(pair.requests.size()));
    pair.documents = std::move(data.queries);
    return pair;
  }

  std::optional<PairScore> score_set(const TaskTemplates& task, const PairRequests& pair,
                                     std::span<const Response> responses) const override {
    RankingScore score(*task.task);
    for (std::size_t d = 0; d < pair.documents.size(); ++d) {
      std::vector<Ranked> ranking;
      std::string error;
      for (std::uint32_t r = pair.first_request[d]; r < pair.first_request[d + 1]; ++r) {
        const std::string passage = pair.requests[r].ask.at("passage");
        if (!responses[r].error.empty()) {
          error = "passage " + passage + ": " + responses[r].error;
          continue;
        }
        ranking.push_back({passage, responses[r].value.at(0)});
        score.count_truncated(responses[r].value.at(2) > 0);
      }
      sort_as_trec_eval(ranking);
      if (error.empty())
        score.add(pair.documents[d], std::move(ranking));
      else
        score.fail(pair.documents[d], error);
    }
    return score.take();
  }
};

}  // namespace

const TaskType& rerank() {
  static const Rerank type;
  return type;
}

}  // namespace proctor
