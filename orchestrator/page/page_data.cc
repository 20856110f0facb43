#include "orchestrator/page/page_data.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "orchestrator/compare/comparison.h"
#include "orchestrator/compare/comparison_json.h"
#include "orchestrator/page/packed_samples.h"
#include "orchestrator/page/page_images.h"
#include "orchestrator/report/ledger_view.h"
#include "orchestrator/report/module_rows.h"
#include "orchestrator/report/timeline.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"
#include "sharding/protocol/ledger_json.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// A module of a run: a column of the page.
struct Column {
  std::size_t run = 0;
  std::string module;
  std::vector<std::string> tasks = {};  ///< that have samples
};

class PageData {
 public:
  PageData(const std::vector<RunFiles>& runs, std::optional<double> gpu_hour, Blobs& blobs)
      : runs_(runs), gpu_hour_(gpu_hour), blobs_(blobs), images_(blobs) {}

  Json all() {
    for (std::size_t r = 0; r < runs_.size(); ++r) add_columns(r);
    Json data = {{"runs", Json::array()}, {"sides", Json::array()}};
    for (const RunFiles& run : runs_) data["runs"].push_back(run_facts(run));
    data["leader"] = leader();
    data["groups"] = groups_;
    data["cells"] = cells();
    data["images"] = images_.parts();
    data["comparisons"] = comparisons();
    for (const Column& column : columns_)
      data["sides"].push_back({{"run", column.run}, {"module", column.module}, {"label", label_of(column)}});
    return data;
  }

 private:
  void add_columns(std::size_t r) {
    for (auto& [module, results] : runs_[r].read_results()) {
      if (!results.is_object() || !results.contains("results"))
        throw EnvironmentError(runs_[r].directory().results(module).string() + ": is no results file of proctor's");
      const Json groups = results.value("group_subtasks", Json::object());
      for (const auto& [group, tasks] : groups.items())
        if (!tasks.empty()) groups_[group] = tasks;
      columns_.push_back({r, module});
      results_.emplace_back(module, std::move(results));
    }
    for (const AnsweredFile& file : runs_[r].answered())  // of tasks that are not scored
      if (!column_of(r, file.module)) {
        columns_.push_back({r, file.module});
        results_.emplace_back(file.module, Json{{"results", Json::object()}});
      }
  }

  std::optional<std::size_t> column_of(std::size_t run, const std::string& module) const {
    for (std::size_t c = 0; c < columns_.size(); ++c)
      if (columns_[c].run == run && columns_[c].module == module) return c;
    return std::nullopt;
  }

  /// With two runs which of them, by folder.
  std::string label_of(const Column& column) const {
    if (runs_.size() == 1) return column.module;
    std::vector<std::string> folders;
    for (const RunFiles& run : runs_)
      folders.push_back(fs::absolute(run.directory().root()).lexically_normal().filename().string());
    const bool same = folders[0] == folders[1];
    return (same ? runs_[column.run].directory().root().string() : folders[column.run]) + ": " + column.module;
  }

  Json leader() const {
    Json rows = Json::array();
    for (const ModuleRow& row : module_rows(results_, runs_[0].tasks())) {
      Json values = Json::array();
      for (const auto& cell : row.cells)
        values.push_back(cell ? Json::array({cell->value, cell->error ? Json(*cell->error) : Json()}) : Json());
      rows.push_back({{"task", row.task},
                      {"metric", row.metric},
                      {"filter", row.filter},
                      {"higher_is_better", row.higher_is_better},
                      {"cells", std::move(values)}});
    }
    return rows;
  }

  /// Names of the figures that a task's results have.
  std::set<std::string> metrics_of(std::size_t column, const std::string& task) const {
    std::set<std::string> names;
    const Json& results = results_[column].second["results"];
    if (!results.contains(task)) return names;
    for (const auto& [key, value] : results[task].items())
      if (const auto comma = key.rfind(','); comma != std::string::npos && !key.substr(0, comma).ends_with("_stderr"))
        names.insert(key.substr(0, comma));
    return names;
  }

  Json cells() {
    Json all = Json::array();
    for (std::size_t r = 0; r < runs_.size(); ++r)
      for (const AnsweredFile& file : runs_[r].answered()) {
        const std::size_t column = *column_of(r, file.module);
        const PackedSamples packed = pack_samples(
            file, metrics_of(column, file.task),
            [&](const Json& line) { images_.add(line, runs_[r].directory().root()); }, blobs_);
        if (file.scored) columns_[column].tasks.push_back(file.task);
        all.push_back({{"side", column},
                       {"task", file.task},
                       {"index", packed.index},
                       {"lines", packed.lines},
                       {"scored", file.scored}});
      }
    return all;
  }

  // ---- comparisons

  Side side_of(const Column& column) const {
    return Side::of_run(runs_[column.run].directory().root().string() + ":" + column.module);
  }

  /// With the groups whose tasks are all among them.
  void compare_columns(Json& all, std::size_t a, std::size_t b, std::vector<std::string> tasks) const {
    if (tasks.empty()) return;
    const Side first = side_of(columns_[a]), second = side_of(columns_[b]);
    const std::set<std::string> listed(tasks.begin(), tasks.end());
    for (const auto& [group, parts] : first.groups())
      if (std::ranges::includes(listed, parts) && second.groups().contains(group)) tasks.push_back(group);
    for (const ComparedMetric& metric : compare(first, second, tasks, "").metrics) {
      Json line = as_json(metric);
      line["side_a"] = a;
      line["side_b"] = b;
      all.push_back(std::move(line));
    }
  }

  std::vector<std::string> shared_tasks(std::size_t a, std::size_t b) const {
    std::vector<std::string> shared;
    for (const std::string& task : columns_[a].tasks)
      if (std::ranges::find(columns_[b].tasks, task) != columns_[b].tasks.end()) shared.push_back(task);
    return shared;
  }

  /// Of two runs each module with the one of its name; of one run the first module that has a task with each other.
  Json comparisons() const {
    Json all = Json::array();
    if (runs_.size() == 2) {
      const auto second =
          static_cast<std::size_t>(std::ranges::find(columns_, std::size_t{1}, &Column::run) - columns_.begin());
      const bool alone = second == 1 && columns_.size() == 2;
      for (std::size_t a = 0; a < second; ++a)
        if (const auto b = alone ? std::optional(second) : column_of(1, columns_[a].module))
          compare_columns(all, a, *b, shared_tasks(a, *b));
      return all;
    }
    std::set<std::string> taken;  // tasks whose first module is an earlier one
    for (std::size_t a = 0; a < columns_.size(); ++a) {
      for (std::size_t b = a + 1; b < columns_.size(); ++b) {
        std::vector<std::string> tasks = shared_tasks(a, b);
        std::erase_if(tasks, [&](const std::string& task) { return taken.contains(task); });
        compare_columns(all, a, b, tasks);
      }
      taken.insert(columns_[a].tasks.begin(), columns_[a].tasks.end());
    }
    return all;
  }

  // ---- what a run was, took and cost

  Json run_facts(const RunFiles& run) const {
    const std::vector<LedgerLine> ledger = run.ledger();
    const Json manifest = run.manifest();
    Json facts = {{"folder", run.directory().root().string()},
                  {"state", run.state()},
                  {"exit_code", run.status().value("exit_code", Json())},
                  {"pairs", run.status().value("pairs", Json::array())},
                  {"chosen", run.status().value("chosen", Json::object())},
                  {"failures", run.status().value("failures", Json::array())},
                  {"gpu_hour", gpu_hour_ ? Json(*gpu_hour_) : Json()}};
    for (const char* key : {"suite", "command_line", "nodes", "device", "engines", "events", "seconds",
                            "seconds_predicted", "tokens_computed", "utilisation", "shards_not_run_as_planned"})
      facts[key] = manifest.is_object() ? manifest.value(key, Json()) : Json();
    facts["suite_file"] = text_of(run.directory().suite());
    facts["modules"] = module_totals(ledger);
    facts["ledger"] = Json::array();
    for (const LedgerLine& line : ledger) facts["ledger"].push_back(Json(line));
    const Timeline timeline = run_timeline(run.directory().root().string(), ledger, run.turns());
    facts["devices"] = timeline.devices.size();
    facts["timeline_seconds"] = timeline.seconds;
    return facts;
  }

  static std::string text_of(const fs::path& path) {
    if (why_no_file(path.string())) return "";
    std::ifstream stream(path);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  const std::vector<RunFiles>& runs_;
  std::optional<double> gpu_hour_;
  Blobs& blobs_;
  PageImages images_;
  std::vector<Column> columns_;
  std::vector<std::pair<std::string, Json>> results_;  // of each column
  Json groups_ = Json::object();
};

}  // namespace

Json page_data(const std::vector<RunFiles>& runs, std::optional<double> gpu_hour, Blobs& blobs) {
  return PageData(runs, gpu_hour, blobs).all();
}

}  // namespace proctor
