// Retrieval: queries and a corpus, embedded; each query's passages by the cosine, all of them looked at; trec_eval's
// measures against qrels.
#include "orchestrator/metrics/vectors.h"
#include "orchestrator/task_types/ranking.h"

namespace proctor {
namespace {

struct Passage {
  std::string id;
  std::vector<float> vector;
  double squares = 0;  // the vector's product with itself
};

std::vector<Ranked> search(const std::vector<float>& query, const std::vector<Passage>& passages) {
  std::vector<Ranked> ranking;
  const double squares = dot(query, query);
  for (const Passage& passage : passages)
    ranking.push_back({passage.id, cosine(dot(query, passage.vector), squares, passage.squares)});
  sort_as_trec_eval(ranking);
  return ranking;
}

class Retrieval final : public RankingTaskType {
 public:
  std::vector<RequestType> request_types() const override { return {RequestType::embed}; }
  std::vector<std::string> default_metrics() const override { return {"ndcg_cut_10", "recall_100"}; }

  /// Documents are the judged queries; the corpus follows, whole.
  std::optional<CellRequests> build(const TaskTemplates& task, DocumentLimit limit) const override {
    RetrievalData data = read_retrieval_data(task, limit);
    CellRequests pair;
    for (const Document& query : data.queries) {
      pair.first_request.push_back(static_cast<std::uint32_t>(pair.requests.size()));
      pair.requests.push_back({{task.query->render(query)}, Embed{{"query"}, ""}});
    }
    pair.first_request.push_back(static_cast<std::uint32_t>(pair.requests.size()));
    for (const Document& passage : data.corpus)
      pair.requests.push_back(
          {{task.document->render(passage)}, Embed{{"document", "passage", "corpus"}, id_of(passage)}});
    pair.documents = std::move(data.queries);
    return pair;
  }

  std::optional<CellScore> score_set(const TaskTemplates& task, const CellRequests& pair,
                                     std::span<const Response> responses) const override {
    RankingScore score(*task.task);
    for (std::size_t r = pair.first_request.back(); r < responses.size(); ++r)
      if (!responses[r].error.empty())
        score.note_failure("passage " + std::get<Embed>(pair.requests[r].ask).passage + ": " + responses[r].error);
    for (const Response& one : responses) score.count_truncated(truncated_of(one.answer) > 0);
    score.add(pair.documents, rankings(pair, responses));
    return score.take();
  }

 protected:
  /// Passages that failed are found by nobody.
  std::vector<QueryRanking> rankings(const CellRequests& pair, std::span<const Response> responses) const override {
    std::vector<Passage> passages;
    for (std::size_t r = pair.first_request.back(); r < responses.size(); ++r) {
      if (!responses[r].error.empty()) continue;
      Passage& passage = passages.emplace_back();
      passage.id = std::get<Embed>(pair.requests[r].ask).passage;
      passage.vector = vector_of(responses[r]);
      passage.squares = dot(passage.vector, passage.vector);
    }
    std::vector<QueryRanking> all(pair.documents.size());
    for (std::size_t d = 0; d < all.size(); ++d) {
      const Response& query = responses[pair.first_request[d]];
      all[d].failure = query.error;
      if (query.error.empty()) all[d].passages = search(vector_of(query), passages);
    }
    return all;
  }
  QueryRanking foreseen(const CellRequests& pair, std::size_t, std::size_t top) const override {
    QueryRanking ranking;
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
