// Retrieval: queries and a corpus, embedded; each query's passages by the cosine, all of them looked at; or found by a
// module without a model; trec_eval's measures against qrels.
#include "orchestrator/metrics/nearest_vectors.h"
#include "orchestrator/metrics/vectors.h"
#include "orchestrator/task_types/ranking.h"

namespace proctor {
namespace {

class Retrieval final : public RankingTaskType {
 public:
  std::vector<RequestType> request_types() const override { return {RequestType::embed}; }
  std::vector<std::string> default_metrics() const override { return {"ndcg_cut_10", "recall_100"}; }

  const char* split_of_answers() const override { return "queries"; }

  /// Documents are the judged queries; the corpus follows, whole.
  std::optional<CellRequests> build(const TaskTemplates& task, DocumentLimit limit, Search search) const override {
    RetrievalData data = read_retrieval_data(task, limit);
    CellRequests pair;
    for (const Document& query : data.queries) {
      pair.first_request.push_back(static_cast<std::uint32_t>(pair.requests.size()));
      if (!query.failure.empty()) continue;
      if (search == Search::words)
        pair.requests.push_back({{task.query->render(query)}, Retrieve{id_of(query), {}}});
      else
        pair.requests.push_back({{task.query->render(query)}, Embed{{"query"}, ""}});
    }
    pair.first_request.push_back(static_cast<std::uint32_t>(pair.requests.size()));
    if (search == Search::words) {
      pair.passages = passages_of(task, data.corpus);
      pair.documents = std::move(data.queries);
      return pair;
    }
    for (const Document& passage : data.corpus)
      pair.requests.push_back(
          {{task.document->render(passage)}, Embed{{"document", "passage", "corpus"}, id_of(passage)}});
    pair.documents = std::move(data.queries);
    return pair;
  }

 protected:
  void note_failures(RankingScore& score, const CellRequests& pair,
                     std::span<const Response> responses) const override {
    for (std::size_t r = pair.first_request.back(); r < responses.size(); ++r)
      if (!responses[r].error.empty())
        score.note_failure("passage " + std::get<Embed>(pair.requests[r].ask).passage + ": " + responses[r].error);
  }
  /// Passages that failed are found by nobody.
  std::vector<QueryRanking> rankings(const CellRequests& pair, std::span<const Response> responses) const override {
    if (pair.passages) return answered_rankings(pair, responses);
    std::vector<NamedVector> passages;
    for (std::size_t r = pair.first_request.back(); r < responses.size(); ++r)
      if (responses[r].error.empty())
        passages.push_back({std::get<Embed>(pair.requests[r].ask).passage, vector_of(responses[r])});
    std::vector<std::span<const float>> queries;
    std::vector<QueryRanking> all(pair.documents.size());
    for (std::size_t d = 0; d < all.size(); ++d) {
      all[d].failure = pair.documents[d].failure;
      if (!all[d].failure.empty()) continue;
      const Response& query = responses[pair.first_request[d]];
      all[d].failure = query.error;
      if (query.error.empty()) queries.emplace_back(vector_of(query));
    }
    std::vector<std::vector<Ranked>> found = nearest(queries, passages, kMeasuredPassages);
    for (auto next = found.begin(); QueryRanking & one : all)
      if (one.failure.empty()) one.passages = std::move(*next++);
    return all;
  }
  QueryRanking foreseen(const CellRequests& pair, std::size_t, std::size_t top) const override {
    QueryRanking ranking;
    if (pair.passages)
      for (std::size_t p = 0; p < std::min(top, pair.passages->size()); ++p)
        ranking.passages.push_back({(*pair.passages)[p].id});
    for (std::size_t r = pair.first_request.back(); r < pair.requests.size() && ranking.passages.size() < top; ++r)
      ranking.passages.push_back({std::get<Embed>(pair.requests[r].ask).passage});
    return ranking;
  }
};

}  // namespace

const TaskType& retrieval() {
  static const Retrieval type;
  return type;
}

}  // namespace proctor
