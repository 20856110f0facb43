#include "orchestrator/planning/chain.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "orchestrator/metrics/aggregation.h"
#include "orchestrator/planning/best_module.h"
#include "orchestrator/task_types/can_answer.h"
#include "orchestrator/task_types/ranking.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::size_t kPassages = 100;  // of a ranking, where the task does not say how many

std::uint32_t index_of(const Suite& suite, const std::string& task) {
  const auto found = std::ranges::find(suite.tasks, task, &Task::name);
  PROCTOR_CHECK(found != suite.tasks.end(), "what is read is a task of the suite");
  return static_cast<std::uint32_t>(found - suite.tasks.begin());
}
std::uint32_t module_of(const Suite& suite, const std::string& module) {
  const auto found = std::ranges::find(suite.modules, module, &Module::name);
  PROCTOR_CHECK(found != suite.modules.end(), "who is read is a module of the suite");
  return static_cast<std::uint32_t>(found - suite.modules.begin());
}

std::size_t most_passages(const Upstream& upstream) { return upstream.top.value_or(kPassages); }

Json empty_answer(const TaskType& type) {
  Json answer = type.ranks_passages()
                    ? Json{{"order", Json::array()}, {"passages", Json::array()}, {"scores", Json::array()}}
                    : Json{{"text", ""}, {"tokens", 0}};
  answer["metrics"] = Json::object();
  return answer;
}

/// The answers of one module to the documents of a task.
struct Answers {
  Source source;
  const TaskType* type = nullptr;
  const std::vector<Document>* documents = nullptr;
  std::vector<ReadAnswer> answers;
};

/// Of the query that a row is about: its own `_id`, or that of the row that it was made of.
std::string query_id_of(const Document& document, const Task& reader) {
  for (const Json* row = &document.row; row->is_object();) {
    if (const auto id = row->contains("_id") ? as_id(row->at("_id")) : std::nullopt) return *id;
    if (!row->contains("doc")) break;
    row = &row->at("doc");
  }
  throw InputError(document.where() + ": \"_id\" is missing, or neither a text nor a whole number; task " +
                   reader.name + " searches for this row, and needs its query's");
}

/// Rows of a task over these: one for each document.
std::vector<Document> rows_over(const Task& task, std::vector<Answers> of) {
  const Upstream& upstream = *task.upstream;
  static constexpr const char* kPair[] = {"first", "second"};
  const TaskType& type = task_type_of(task);
  const bool reads_rankings = type.candidates() != TaskType::Candidates::none;
  std::vector<Document> rows;
  for (std::size_t d = 0; d < of.front().documents->size(); ++d) {
    Document row;
    row.file = "answers of " + of.front().source.module + " to task " + of.front().source.task;
    row.number = d + 1;
    row.place = Document::Place::row;
    if (type.ranks_passages()) row.row["_id"] = query_id_of((*of.front().documents)[d], task);
    if (!reads_rankings) row.row["doc"] = (*of.front().documents)[d].row;
    for (std::size_t i = 0; i < of.size(); ++i) {
      auto& [answer, failure] = of[i].answers[d];
      if (!failure.empty() && row.failure.empty())
        row.failure = "module " + of[i].source.module + " has not answered task " + of[i].source.task + ": " + failure;
      if (!failure.empty()) answer = empty_answer(*of[i].type);
      answer["module"] = of[i].source.module;
      if (task.type == "rerank")  // as candidates are in a file
        row.row["retrieved_ids"] = std::move(answer["order"]);
      else if (reads_rankings)
        row.row["rankings"].push_back({{"order", std::move(answer["order"])}, {"scores", std::move(answer["scores"])}});
      else
        row.row[of.size() == 1 ? "answer" : kPair[i]] = std::move(answer);
    }
    if (!row.failure.empty() && upstream.missing == Missing::skip) continue;
    if (upstream.missing == Missing::empty) row.failure.clear();
    rows.push_back(std::move(row));
  }
  return rows;
}

double mean_tokens(std::span<const Response> responses) {
  double sum = 0, count = 0;
  for (const Response& response : responses) {
    const auto* generated = std::get_if<GenerateAnswer>(&response.answer);
    const auto* compressed = std::get_if<CompressAnswer>(&response.answer);
    if (!generated && !compressed) continue;
    sum += static_cast<double>(generated ? generated->tokens : compressed->kept);
    ++count;
  }
  return count > 0 ? sum / count : 0;
}

}  // namespace

std::vector<std::uint32_t> in_order_of_reading(const Suite& suite) {
  std::vector<std::uint32_t> order;
  std::vector<bool> placed(suite.tasks.size(), false);
  while (order.size() < suite.tasks.size()) {
    const std::size_t before = order.size();
    for (std::uint32_t t = 0; t < suite.tasks.size(); ++t) {
      const auto& upstream = suite.tasks[t].upstream;
      const bool free = !upstream || std::ranges::all_of(upstream->sources, [&](const Source& source) {
        return placed[index_of(suite, source.task)];
      });
      if (placed[t] || !free) continue;
      placed[t] = true;
      order.push_back(t);
    }
    PROCTOR_CHECK(order.size() > before, "circles are refused where the suite is read");
  }
  return order;
}

void foresee_rows(Work& work, TaskId id) {
  const Task& task = work.suite.tasks[id.value];
  std::vector<Answers> all;
  for (const Source& source : task.upstream->sources) {
    if (task.upstream->of == Upstream::Of::best && !all.empty()) break;
    const std::uint32_t t = index_of(work.suite, source.task);
    const TaskType& type = task_type_of(work.suite.tasks[t]);
    const CellRequests& cell = work.requests_of(ModuleId{module_of(work.suite, source.module)}, TaskId{t});
    all.push_back(
        {source, &type, &cell.documents, type.foresee(work.templates[t], cell, most_passages(*task.upstream))});
  }
  work.templates[id.value].rows = rows_over(task, std::move(all));
  work.templates[id.value].rows_are_foreseen = true;
}

Chain::Chain(Work& work, const Interpreters& interpreters, std::map<std::string, std::string> chosen)
    : work_(work),
      no_images_({}),
      sets_(work, interpreters.renderer, no_images_, [] {}),
      cells_(work),
      order_(in_order_of_reading(work.suite)),
      chosen_(std::move(chosen)) {
  for (const TaskId task : work.waiting) await(task);
}

void Chain::await(TaskId id) {
  const Task& task = work_.suite.tasks[id.value];
  for (const Source& source : task.upstream->sources) {
    const std::size_t cell = index_of_cell(work_, source, task);
    if (read_.try_emplace(cell).second && !work_.waits(work_.cells[cell].task)) expect_answers(cell);
  }
}

/// The cell's requests are known.
void Chain::expect_answers(std::size_t cell) {
  Read& read = read_.at(cell);
  read.left = work_.requests_of(work_.cells[cell].module, work_.cells[cell].task).requests.size();
  if (!ranks_passages(cell)) read.responses.resize(read.left);
  changed_ = changed_ || read.left == 0;
}

bool Chain::ranks_passages(std::size_t cell) const {
  return task_type_of(work_.suite.tasks[work_.cells[cell].task.value]).ranks_passages();
}

bool Chain::may_get_work(ModuleId module) const {
  return std::ranges::any_of(work_.cells,
                             [&](const Cell& cell) { return cell.module == module && work_.waits(cell.task); });
}

void Chain::add(const Shard& shard, std::span<const Response> responses) {
  if (read_.empty()) return;
  const auto read = read_.find(index_of_cell(work_, shard.module, shard.task));
  if (read == read_.end()) return;
  for (std::size_t i = 0; i < responses.size() && !read->second.responses.empty(); ++i)
    read->second.responses[shard.requests[i]] = responses[i];
  read->second.left -= responses.size();
  changed_ = changed_ || read->second.left == 0;
}

void Chain::add_score(std::size_t cell, const std::vector<MetricScore>& metrics, Rankings rankings) {
  if (const auto read = read_.find(cell); read != read_.end()) {
    read->second.metrics = metrics;
    read->second.rankings = std::move(rankings);
    changed_ = true;
  }
}

bool Chain::ready(const Task& task) const {
  const bool needs_scores = task.upstream->of == Upstream::Of::best && !chosen_.contains(task.name);
  return std::ranges::all_of(task.upstream->sources, [&](const Source& source) {
    const std::size_t cell = index_of_cell(work_, source, task);
    const Read& read = read_.at(cell);
    return !work_.waits(work_.cells[cell].task) && read.left == 0 &&
           (read.metrics || !(needs_scores || ranks_passages(cell)));
  });
}

std::vector<TaskId> Chain::plan_ready(const std::function<void(const Chosen&)>& choose) {
  std::vector<TaskId> planned;
  if (!std::exchange(changed_, false)) return planned;
  for (const std::uint32_t t : order_) {
    if (!work_.waits(TaskId{t}) || !ready(work_.suite.tasks[t])) continue;
    plan(TaskId{t}, choose);
    planned.push_back(TaskId{t});
  }
  return planned;
}

/// The place of the best among those that the task reads.
std::size_t Chain::choose(const Task& task) const {
  std::vector<Candidate> candidates;
  for (const Source& source : task.upstream->sources) {
    const Read& read = read_.at(index_of_cell(work_, source, task));
    Candidate& candidate = candidates.emplace_back();
    candidate.tokens = mean_tokens(read.responses);
    for (const std::string& name : task.upstream->best.metrics) {
      const auto found = std::ranges::find(*read.metrics, name, &MetricScore::metric);
      const double value = found == read.metrics->end() ? std::numeric_limits<double>::quiet_NaN() : found->value;
      candidate.means.push_back(higher_is_better(name) ? value : -value);
    }
  }
  return best_of(candidates, task.upstream->best);
}

void Chain::plan(TaskId id, const std::function<void(const Chosen&)>& tell) {
  Task& task = work_.suite.tasks[id.value];
  Upstream& upstream = *task.upstream;
  if (upstream.of == Upstream::Of::best) {
    const auto known = chosen_.find(task.name);
    auto best = known == chosen_.end() ? upstream.sources.end()
                                       : std::ranges::find(upstream.sources, known->second, &Source::module);
    if (best == upstream.sources.end()) {
      best = upstream.sources.begin() + static_cast<std::ptrdiff_t>(choose(task));
      tell({id, best->module});
    }
    upstream.sources = {*best};
  }
  std::vector<Answers> all;
  for (const Source& source : upstream.sources) {
    const std::size_t index = index_of_cell(work_, source, task);
    const Cell& cell = work_.cells[index];
    const TaskTemplates& templates = work_.templates[cell.task.value];
    const TaskType& type = task_type_of(*templates.task);
    const CellRequests& requests = work_.requests_of(cell.module, cell.task);
    all.push_back({source, &type, &requests.documents,
                   type.read(templates, requests, {read_.at(index).responses, read_.at(index).rankings},
                             most_passages(upstream))});
  }
  work_.templates[id.value].rows = rows_over(task, std::move(all));
  work_.templates[id.value].rows_are_foreseen = false;
  sets_.fill(id.value);
  work_.waiting.erase(id);
  cells_.plan(id);
  for (std::size_t c = 0; c < work_.cells.size(); ++c)
    if (work_.cells[c].task == id && read_.contains(c)) expect_answers(c);
}

}  // namespace proctor
