// Retrieval: queries and a corpus, embedded; each query's passages by the cosine, all of them looked at; trec_eval's
// measures against qrels. Files as BEIR has them.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>
#include <unordered_set>

#include "orchestrator/prompts/python_text.h"
#include "orchestrator/scoring/hashes.h"
#include "orchestrator/scoring/retrieval_metrics.h"
#include "orchestrator/scoring/vectors.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/error.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kKept = 1000, kShown = 100;  // passages of a ranking: measured, as MTEB and BEIR; in the samples

std::string id_of(const Document& document) {
  const auto id = document.row.find("_id");
  if (id == document.row.end() || !(id->is_string() || id->is_number_integer()))
    throw InputError(document.where() + ": \"_id\" is missing, or neither a text nor a whole number");
  return id->is_string() ? id->get<std::string>() : id->dump();
}

struct Judged {
  std::string query, passage;
  int relevance = 0;
  std::size_t line = 0;
};

/// BEIR's query-id, corpus-id, score, with or without its header line; or TREC's query, iteration, passage, relevance.
std::vector<Judged> read_qrels(const std::string& path) {
  std::ifstream stream(path);
  std::vector<Judged> judged;
  std::string text;
  for (std::size_t number = 1; std::getline(stream, text); ++number) {
    std::istringstream fields(text);
    const std::vector<std::string> parts{std::istream_iterator<std::string>(fields), {}};
    if (parts.empty() || (number == 1 && parts[0] == "query-id")) continue;
    int relevance = 0;
    const std::string& last = parts.back();
    const auto [end, error] = std::from_chars(last.data(), last.data() + last.size(), relevance);
    if (parts.size() < 3 || parts.size() > 4 || error != std::errc() || end != last.data() + last.size())
      throw InputError(path + ":" + std::to_string(number) +
                       ": expected query, passage, relevance (a whole number); or TREC's four columns");
    judged.push_back({parts[0], parts[parts.size() - 2], relevance, number});
  }
  if (judged.empty()) throw InputError(path + ": holds no judgments");
  return judged;
}

/// Of each query, by its id.
std::map<std::string, Judgments> judgments_of(const Task& task) {
  std::map<std::string, Judgments> all;
  for (const Judged& one : read_qrels(task.data.at("qrels"))) all[one.query][one.passage] = one.relevance;
  return all;
}

Request embed(std::string text, std::vector<std::string> prompts) {
  return {{std::move(text)}, {{"type", "embed"}, {"prompts", std::move(prompts)}}};
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

  /// Documents are the queries that are judged, `limit` of them at most; the corpus follows, whole.
  std::optional<PairRequests> build(const TaskTemplates& task, std::size_t limit) const override {
    const auto& data = task.task->data;
    const std::vector<Document> queries = read_documents(data.at("queries")),
                                corpus = read_documents(data.at("corpus"));
    const std::vector<Judged> judged = read_qrels(data.at("qrels"));
    std::unordered_set<std::string> passages, asked, wanted;
    for (const Document& passage : corpus)
      if (!passages.insert(id_of(passage)).second)
        throw InputError(passage.where() + ": _id " + id_of(passage) + " is used twice");
    for (const Document& query : queries)
      if (!asked.insert(id_of(query)).second)
        throw InputError(query.where() + ": _id " + id_of(query) + " is used twice");
    for (const Judged& one : judged) {
      const std::string where = data.at("qrels") + ":" + std::to_string(one.line) + ": ";
      if (!asked.contains(one.query))
        throw InputError(where + "query " + one.query + " is not in " + data.at("queries"));
      if (!passages.contains(one.passage))
        throw InputError(where + "passage " + one.passage + " is not in " + data.at("corpus"));
      wanted.insert(one.query);
    }
    PairRequests pair;
    for (const Document& query : queries) {
      if (!wanted.contains(id_of(query)) || (limit && pair.documents.size() == limit)) continue;
      pair.first_request.push_back(static_cast<std::uint32_t>(pair.requests.size()));
      for (Request& request : requests(task, query, "")) pair.requests.push_back(std::move(request));
      pair.documents.push_back(query);
    }
    pair.first_request.push_back(static_cast<std::uint32_t>(pair.requests.size()));
    for (const Document& passage : corpus)
      pair.requests.push_back(embed(task.document->render(passage), {"document", "passage", "corpus"}));
    return pair;
  }

  std::optional<PairScore> score_set(const TaskTemplates& task, const PairRequests& pair,
                                     std::span<const Response> responses) const override {
    const std::map<std::string, Judgments> judgments = judgments_of(*task.task);
    const std::span<const Response> answers = responses.subspan(pair.first_request.back());
    std::vector<std::string> ids;
    for (const Document& passage : read_documents(task.task->data.at("corpus"))) ids.push_back(id_of(passage));
    PROCTOR_CHECK(ids.size() == answers.size(), "the corpus is as it was when the run began");
    PairScore score;
    std::vector<std::vector<float>> passages;
    for (const Response& answer : answers) {
      passages.push_back(vector_of(answer));
      score.truncated += answer.error.empty() && answer.value.at(2) > 0;
      if (!answer.error.empty()) score.failures.push_back("passage " + ids[passages.size() - 1] + ": " + answer.error);
    }
    std::map<std::string, std::vector<double>> columns;
    std::string hashes;
    for (std::size_t d = 0; d < pair.documents.size(); ++d) {
      const Document& query = pair.documents[d];
      const Response& answer = responses[pair.first_request[d]];
      Json line = {{"doc_id", d}, {"doc", query.row}, {"target", judgments.at(id_of(query))}};
      if (answer.error.empty()) {
        const std::vector<Ranked> ranking = search(vector_of(answer), passages, ids);
        line["ranking"] = Json::array();
        for (std::size_t i = 0; i < std::min(kShown, ranking.size()); ++i)
          line["ranking"].push_back({ranking[i].passage, ranking[i].score});
        for (const Metric& metric : task.task->metrics) {
          columns[metric.name].push_back(retrieval_metric(metric.name, ranking, judgments.at(id_of(query))));
          line[metric.name] = columns[metric.name].back();
        }
        ++score.effective;
      } else {
        line["ranking"] = nullptr;
        line["error"] = answer.error;
        score.failures.push_back(query.where() + ": " + answer.error);
      }
      line["doc_hash"] = sha256_hex(python::json_dumps(query.row, python::Ascii::keep, 2));
      hashes += line["doc_hash"].get<std::string>();
      score.samples += python::json_dumps(line, python::Ascii::keep) + "\n";
    }
    for (const auto& [name, values] : columns) score.metrics.push_back({name, "none", mean(values), error(values)});
    score.documents = pair.documents.size();
    score.task_hash = sha256_hex(hashes);
    return score;
  }

 private:
  static std::vector<Ranked> search(const std::vector<float>& query, const std::vector<std::vector<float>>& passages,
                                    const std::vector<std::string>& ids) {
    std::vector<Ranked> ranking;
    for (std::size_t p = 0; p < passages.size(); ++p)
      if (!passages[p].empty()) ranking.push_back({ids[p], cosine(query, passages[p])});
    sort_as_trec_eval(ranking);
    if (ranking.size() > kKept) ranking.resize(kKept);
    return ranking;
  }
  static double mean(const std::vector<double>& values) {
    double sum = 0;
    for (double value : values) sum += value;
    return sum / static_cast<double>(values.size());
  }
  /// Of the mean.
  static std::optional<double> error(const std::vector<double>& values) {
    if (values.size() < 2) return std::nullopt;
    const double center = mean(values), n = static_cast<double>(values.size());
    double squares = 0;
    for (double value : values) squares += (value - center) * (value - center);
    return std::sqrt(squares / (n - 1) / n);
  }
};

}  // namespace

const TaskType& retrieval() {
  static const Retrieval type;
  return type;
}

}  // namespace proctor
