#include "orchestrator/task_types/ranking.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <map>
#include <sstream>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/data/documents.h"
#include "orchestrator/data/text_file.h"
#include "orchestrator/metrics/hashes.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kShown = 100;  // passages of a ranking in the samples

struct Judged {
  std::string query, passage;
  int relevance = 0;
  std::size_t line = 0;
};

std::vector<Judged> read_qrels(const std::string& path) {
  std::vector<Judged> judged;
  std::map<std::pair<std::string, std::string>, int> seen;
  constexpr std::size_t kColumns[] = {3, 4};
  each_line(path, kColumns, [&](std::size_t number, const std::vector<std::string>& parts) {
    if (number == 1 && parts[0] == "query-id") return;
    int relevance = 0;
    const std::string& last = parts.back();
    const auto [end, error] = std::from_chars(last.data(), last.data() + last.size(), relevance);
    if (parts.size() < 3 || parts.size() > 4 || error != std::errc() || end != last.data() + last.size())
      throw InputError(path + ":" + std::to_string(number) +
                       ": expected query, passage, relevance (a whole number); or TREC's four columns; parted by tabs "
                       "or blanks, below BEIR's header line (query-id ...) or none");
    judged.push_back({parts[0], parts[parts.size() - 2], relevance, number});
    const auto [earlier, fresh] = seen.try_emplace({parts[0], judged.back().passage}, relevance);
    if (!fresh && earlier->second != relevance)
      throw InputError(path + ":" + std::to_string(number) + ": passage " + judged.back().passage + " of query " +
                       parts[0] + " is judged " + last + ", and " + std::to_string(earlier->second) + " above");
  });
  if (judged.empty()) throw InputError(path + ": holds no judgments");
  return judged;
}

std::vector<std::string> fields_of(const std::string& text, std::span<const std::size_t> sizes) {
  std::vector<std::string> fields;
  std::istringstream tabs(text), blanks(text);
  for (std::string field; std::getline(tabs, field, '\t');) fields.push_back(python::strip(field));
  const bool whole = std::ranges::none_of(fields, &std::string::empty);
  if (whole && std::ranges::find(sizes, fields.size()) != sizes.end()) return fields;
  return {std::istream_iterator<std::string>(blanks), {}};
}

std::unordered_set<std::string> ids_of(const std::vector<Document>& documents) {
  std::unordered_set<std::string> ids;
  for (const Document& one : documents)
    if (!ids.insert(id_of(one)).second) throw InputError(one.where() + ": _id " + id_of(one) + " is used twice");
  return ids;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

/// Of the mean.
std::optional<double> standard_error(const std::vector<double>& values) {
  if (values.size() < 2) return std::nullopt;
  const double center = mean(values), n = static_cast<double>(values.size());
  double squares = 0;
  for (double value : values) squares += (value - center) * (value - center);
  return std::sqrt(squares / (n - 1) / n);
}

}  // namespace

namespace {

/// Of the passages that a cell's requests have, by their ids.
std::unordered_map<std::string_view, const std::string*> texts_of(const CellRequests& cell) {
  std::unordered_map<std::string_view, const std::string*> texts;
  if (cell.passages)
    for (const Passage& passage : *cell.passages) texts.emplace(passage.id, &passage.text);
  for (const Request& request : cell.requests) {
    if (const auto* pair = std::get_if<ScorePair>(&request.ask)) texts.emplace(pair->passage, &text_of(request, 1));
    if (const auto* embed = std::get_if<Embed>(&request.ask); embed && !embed->passage.empty())
      texts.emplace(embed->passage, &text_of(request, 0));
  }
  return texts;
}

Json as_answer(std::span<const Ranked> ranking, const std::unordered_map<std::string_view, const std::string*>& texts) {
  Json answer = {{"order", Json::array()}, {"passages", Json::array()}, {"scores", Json::array()}};
  for (const Ranked& one : ranking) {
    answer["order"].push_back(one.passage);
    answer["passages"].push_back(*texts.at(one.passage));
    answer["scores"].push_back(one.score);
  }
  return answer;
}

}  // namespace

std::optional<CellScore> RankingTaskType::score_set(const TaskTemplates& task, const CellRequests& cell,
                                                    std::span<const Response> responses) const {
  RankingScore score(*task.task);
  note_failures(score, cell, responses);
  for (const Response& one : responses) score.count_truncated(truncated_of(one.answer) > 0);
  score.add(cell.documents, rankings(cell, responses));
  return score.take();
}

std::vector<ReadAnswer> RankingTaskType::read(const TaskTemplates& task, const CellRequests& cell,
                                              const CellAnswers& answered, std::size_t top) const {
  const auto judgments = read_judgments(*task.task);
  const auto texts = texts_of(cell);
  PROCTOR_CHECK(answered.rankings, "rankings are read once they have been scored");
  std::vector<ReadAnswer> all;
  for (std::size_t d = 0; const auto& [ranking, failure] : *answered.rankings) {
    const Document& query = cell.documents[d++];
    all.push_back({Json(), failure});
    if (!failure.empty()) continue;
    all.back().value = as_answer(std::span(ranking).first(std::min(top, ranking.size())), texts);
    Json& metrics = all.back().value["metrics"] = Json::object();
    for (const Metric& metric : task.task->metrics)
      if (const auto value = retrieval_metric(metric.name, ranking, judgments.at(id_of(query))))
        metrics[metric.name] = *value;
  }
  return all;
}

std::vector<ReadAnswer> RankingTaskType::foresee(const TaskTemplates& task, const CellRequests& cell,
                                                 std::size_t top) const {
  const auto texts = texts_of(cell);
  std::vector<ReadAnswer> all;
  for (std::size_t d = 0; d < cell.documents.size(); ++d) {
    all.push_back({as_answer(foreseen(cell, d, top).passages, texts), ""});
    for (const Metric& metric : task.task->metrics) all.back().value["metrics"][metric.name] = 0.0;
  }
  return all;
}

std::optional<std::string> as_id(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_number_integer() ? std::optional(value.dump()) : std::nullopt;
}

void each_line(const std::string& path, std::span<const std::size_t> sizes,
               const std::function<void(std::size_t number, const std::vector<std::string>& fields)>& act) {
  TextFile stream(path);
  std::string text;
  for (std::size_t number = 1; std::getline(stream, text); ++number)
    if (const std::vector<std::string> fields = fields_of(text, sizes); !fields.empty()) act(number, fields);
}

std::string id_of(const Document& document) {
  const auto found = document.row.find("_id");
  const auto id = found == document.row.end() ? std::nullopt : as_id(*found);
  if (!id) throw InputError(document.where() + ": \"_id\" is missing, or neither a text nor a whole number");
  return *id;
}

RetrievalData read_retrieval_data(const TaskTemplates& templates, DocumentLimit limit) {
  const Task& task = *templates.task;
  const bool of_answers = task.upstream && !task.data.contains("queries");  // which have been limited, or left out
  const std::vector<Document> queries =
      of_answers ? templates.rows : read_documents(task.data.at("queries"), templates.tables);
  RetrievalData data{{}, read_documents(task.data.at("corpus"), templates.tables)};
  const std::unordered_set<std::string> asked = ids_of(queries), passages = ids_of(data.corpus);
  std::unordered_set<std::string> wanted;
  const std::string& qrels = task.data.at("qrels").front();
  for (const Judged& one : read_qrels(qrels)) {
    const std::string where = qrels + ":" + std::to_string(one.line) + ": ";
    if (!asked.contains(one.query) && of_answers) continue;
    if (!asked.contains(one.query))
      throw InputError(where + "query " + one.query + " is not in " + task.data.at("queries").front());
    if (!passages.contains(one.passage))
      throw InputError(where + "passage " + one.passage + " is not in " + task.data.at("corpus").front());
    wanted.insert(one.query);
  }
  for (const Document& query : queries)
    if (wanted.contains(id_of(query))) data.queries.push_back(query);
  if (!of_answers) data.queries.resize(limit.of(data.queries.size()));
  return data;
}

std::shared_ptr<const std::vector<Passage>> passages_of(const TaskTemplates& task, std::span<const Document> corpus) {
  auto passages = std::make_shared<std::vector<Passage>>();
  for (const Document& passage : corpus) passages->push_back({id_of(passage), task.document->render(passage)});
  return passages;
}

std::vector<QueryRanking> answered_rankings(const CellRequests& cell, std::span<const Response> responses) {
  std::vector<QueryRanking> all(cell.documents.size());
  for (std::size_t d = 0; d < all.size(); ++d) {
    all[d].failure = cell.documents[d].failure;
    if (cell.first_request[d] == cell.first_request[d + 1]) continue;
    const Response& response = responses[cell.first_request[d]];
    if (response.error.empty())
      all[d].passages = std::get<RetrieveAnswer>(response.answer).passages;
    else
      all[d].failure = response.error;
  }
  return all;
}

std::map<std::string, Judgments> read_judgments(const Task& task) {
  std::map<std::string, Judgments> all;
  for (const Judged& one : read_qrels(task.data.at("qrels").front())) all[one.query][one.passage] = one.relevance;
  return all;
}

Json RankingScore::begin_line(const Document& query) {
  return {{"doc_id", score_.documents++}, {"doc", query.row}, {"target", judgments_.at(id_of(query))}};
}

void RankingScore::end_line(Json line, const Document& query) {
  line["doc_hash"] = sha256_hex(python::json_dumps(query.row, python::Ascii::keep, 2));
  hashes_ += line["doc_hash"].get<std::string>();
  score_.samples += python::json_dumps(line, python::Ascii::keep) + "\n";
}

void RankingScore::add(std::span<const Document> queries, std::vector<QueryRanking> rankings) {
  for (std::size_t q = 0; q < queries.size(); ++q) {
    QueryRanking& one = rankings_->emplace_back(std::move(rankings[q]));
    if (one.passages.size() > kMeasuredPassages) one.passages.resize(kMeasuredPassages);
    if (one.failure.empty())
      add(queries[q], one.passages);
    else
      fail(queries[q], one.failure);
  }
}

void RankingScore::add(const Document& query, std::span<const Ranked> ranking) {
  Json line = begin_line(query);
  line["ranking"] = Json::array();
  for (std::size_t i = 0; i < std::min(kShown, ranking.size()); ++i)
    line["ranking"].push_back({ranking[i].passage, ranking[i].score});
  for (const Metric& metric : task_.metrics) {
    std::vector<double>& column = columns_[metric.name];
    const std::optional<double> value = retrieval_metric(metric.name, ranking, judgments_.at(id_of(query)));
    line[metric.name] = value ? Json(*value) : Json(nullptr);
    if (value) column.push_back(*value);
  }
  ++score_.effective;
  end_line(std::move(line), query);
}

void RankingScore::fail(const Document& query, const std::string& why) {
  Json line = begin_line(query);
  line["ranking"] = nullptr;
  line["error"] = why;
  score_.failures.push_back(query.where() + ": " + why);
  end_line(std::move(line), query);
}

CellScore RankingScore::take() {
  for (const auto& [name, values] : columns_)
    score_.metrics.push_back({name, "none", mean(values), standard_error(values)});
  score_.task_hash = sha256_hex(hashes_);
  score_.rankings = std::move(rankings_);
  return std::move(score_);
}

}  // namespace proctor
