// Retrieval: queries and a corpus, embedded; each query's passages by the cosine, all of them looked at; trec_eval's
// measures against qrels.
#include "orchestrator/scoring/vectors.h"
#include "orchestrator/task_types/ranking.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/error.h"

namespace proctor {
namespace {

Request embed(std::string text, std::vector<std::string> prompts) {
  return {{std::move(text)}, {{"type", "embed"}, {"prompts", std::move(prompts)}}};
}

std::vector<Ranked> search(const std::vector<float>& query, const std::vector<std::vector<float>>& passages,
                           const std::vector<std::string>& ids) {
  std::vector<Ranked> ranking;
  for (std::size_t p = 0; p < passages.size(); ++p)
    if (!passages[p].empty()) ranking.push_back({ids[p], cosine(query, passages[p])});
  sort_as_trec_eval(ranking);
  return ranking;
}

class Retrieval final : public TaskType {
 public:
  std::string request_type() const override { return "embed"; }
  std::vector<std::string> default_metrics() const override { return {"ndcg_cut_10", "recall_100"}; }
  std::vector<std::string> metrics() const override { return retrieval_metric_examples(); }
  bool has_metric(const std::string& name) const override { return is_retrieval_metric(name); }
  std::string question(const TaskTemplates&, const Document&) const override { return ""; }
  std::string example_answer(const TaskTemplates&, const Document&) const override { return ""; }
  std::string target(const TaskTemplates&, const Document&) const override { return ""; }
  std::vector<Request> requests(const TaskTemplates& task, const Document& document,
                                const std::string&) const override {
    return {embed(task.query->render(document), {"query"})};
  }
  MetricValues score(const TaskTemplates&, const Document&, std::span<const Response>,
                     const FilterPipeline&) const override {
    return {};
  }

  /// Documents are the judged queries; the corpus follows, whole.
  std::optional<PairRequests> build(const TaskTemplates& task, std::size_t limit) const override {
    RetrievalData data = read_retrieval_data(*task.task, limit);
    PairRequests pair;
    for (const Document& query : data.queries) {
      pair.first_request.push_back(static_cast<std::uint32_t>(pair.requests.size()));
      for (Request& request : requests(task, query, "")) pair.requests.push_back(std::move(request));
    }
    pair.first_request.push_back(static_cast<std::uint32_t>(pair.requests.size()));
    for (const Document& passage : data.corpus)
      pair.requests.push_back(embed(task.document->render(passage), {"document", "passage", "corpus"}));
    pair.documents = std::move(data.queries);
    return pair;
  }

  std::optional<PairScore> score_set(const TaskTemplates& task, const PairRequests& pair,
                                     std::span<const Response> responses) const override {
    const std::span<const Response> answers = responses.subspan(pair.first_request.back());
    std::vector<std::string> ids;
    for (const Document& passage : read_documents(task.task->data.at("corpus"))) ids.push_back(id_of(passage));
    PROCTOR_CHECK(ids.size() == answers.size(), "the corpus is as it was when the run began");
    RankingScore score(*task.task);
    std::vector<std::vector<float>> passages;
    for (std::size_t p = 0; p < answers.size(); ++p) {
      passages.push_back(vector_of(answers[p]));
      if (!answers[p].error.empty()) score.note_failure("passage " + ids[p] + ": " + answers[p].error);
    }
    for (const Response& one : responses) score.count_truncated(one.error.empty() && one.value.at(2) > 0);
    for (std::size_t d = 0; d < pair.documents.size(); ++d) {
      const Response& answer = responses[pair.first_request[d]];
      if (answer.error.empty())
        score.add(pair.documents[d], search(vector_of(answer), passages, ids));
      else
        score.fail(pair.documents[d], answer.error);
    }
    return score.take();
  }
};

}  // namespace

const TaskType& retrieval() {
  static const Retrieval type;
  return type;
}

}  // namespace proctor
