// Similarity: two texts a row, each embedded; the correlation of their cosines with the rows' own scores (STS).
#include <charconv>
#include <cmath>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/hashes.h"
#include "orchestrator/metrics/retrieval_metrics.h"
#include "orchestrator/metrics/vectors.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

double gold_of(const TaskTemplates& task, const Document& document) {
  const std::string text = task.score->render(document);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    throw InputError(document.where() + ": the score '" + text + "' is no number (task " + task.task->name + ")");
  return value;
}

double correlation(const std::string& name, std::span<const double> a, std::span<const double> b) {
  if (name == "kendall") return kendall(a, b);
  return name == "spearman" ? spearman(a, b) : pearson(a, b);
}

class Similarity final : public SetTaskType {
 public:
  std::vector<RequestType> request_types() const override { return {RequestType::embed}; }
  std::vector<std::string> default_metrics() const override { return {"spearman", "pearson"}; }
  std::vector<std::string> metrics() const override { return {"spearman", "pearson", "kendall"}; }
  std::string target(const TaskTemplates& task, const Document& document) const override {
    return task.score->render(document);
  }
  std::vector<Request> requests(const TaskTemplates& task, const Document& document, const Prompt&) const override {
    (void)gold_of(task, document);  // refused before anything starts
    return {{{task.left->render(document)}, Embed{}}, {{task.right->render(document)}, Embed{}}};
  }
  std::optional<CellScore> score_set(const TaskTemplates& task, const CellRequests& pair,
                                     std::span<const Response> responses) const override {
    CellScore score;
    std::vector<double> cosines, golds;
    std::string hashes;
    for (std::size_t d = 0; d < pair.documents.size(); ++d) {
      const Document& document = pair.documents[d];
      const std::span<const Response> two = responses.subspan(pair.first_request[d], 2);
      Json line = {{"doc_id", d}, {"doc", document.row}, {"target", target(task, document)}};
      const std::string error = two[0].error.empty() ? two[1].error : two[0].error;
      if (error.empty()) {
        cosines.push_back(cosine(vector_of(two[0]), vector_of(two[1])));
        golds.push_back(gold_of(task, document));
        line["cosine"] = cosines.back();
        for (const Response& one : two) score.truncated += truncated_of(one.answer) > 0;
      } else {
        line["cosine"] = nullptr;
        line["error"] = error;
        score.failures.push_back(document.where() + ": " + error);
      }
      line["doc_hash"] = sha256_hex(python::json_dumps(document.row, python::Ascii::keep, 2));
      hashes += line["doc_hash"].get<std::string>();
      score.samples += python::json_dumps(line, python::Ascii::keep) + "\n";
    }
    for (const Metric& metric : task.task->metrics)
      score.metrics.push_back({metric.name, "none", correlation(metric.name, cosines, golds), std::nullopt});
    score.documents = pair.documents.size();
    score.effective = cosines.size();
    score.task_hash = sha256_hex(hashes);
    return score;
  }
};

}  // namespace

const TaskType& similarity() {
  static const Similarity type;
  return type;
}

}  // namespace proctor
