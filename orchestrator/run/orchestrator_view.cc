// What the orchestrator tells of the run: times as they are measured, progress, status.json, manifest.json, the tables
// at the end.
#include <cmath>
#include <iostream>

#include "orchestrator/base/exit_code.h"
#include "orchestrator/report/ledger_view.h"
#include "orchestrator/run/orchestrator.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;
constexpr Moment kStatusPause{1}, kViewPause{0.1};
constexpr std::size_t kMostRehearsed = 100000;  // shards; so many take about a second

}  // namespace

/// What a worker tells of tokens and times, for the timeline and the calibration.
void Orchestrator::measure(SlotId slot, const WorkerReport& report) {
  if (std::holds_alternative<WorkerReady>(report))
    if (const auto started = started_.extract(slot)) measured_.start.add(1, now().count() - started.mapped());
  const auto* opened = std::get_if<VisitOpened>(&report);
  if (const auto visit = opened ? opened_.find(opened->visit.value) : opened_.end(); visit != opened_.end()) {
    const std::size_t m = visit->second.module.value;
    const double bytes = static_cast<double>(work_.facts[m].weight_bytes) / work_.suite.modules[m].tensor_parallel;
    measured_.load.add(bytes, opened->load_s);
  }
  const auto* answered = std::get_if<ShardAnswered>(&report);
  if (!answered) return;
  tokens_ += answered->tokens;
  const auto assignment = assignments_.find(answered->visit.value);
  if (assignment == assignments_.end() || assignment->second.shard != answered->shard) return;
  const Shard& shard = work_.shards[answered->shard.value];
  measured_.runs[work_name_of(work_, shard)].add(
      shard.flops, answered->seconds * work_.suite.modules[shard.module.value].tensor_parallel);
  const nlohmann::ordered_json line = {{"visit", answered->visit.value},
                                       {"shard", answered->shard.value},
                                       {"module", work_.suite.modules[shard.module.value].name},
                                       {"task", work_.suite.tasks[shard.task.value].name},
                                       {"attempt", answered->attempt},
                                       {"begin_s", assignment->second.begin},
                                       {"run_s", answered->seconds},
                                       {"tokens", answered->tokens},
                                       {"flops_estimated", shard.flops}};
  store_thread_.append(directory_.turns(), line.dump() + "\n");
  assignments_.erase(assignment);
}

const char* Orchestrator::state_of(int code) {
  return code == kStoppedEarly || code == kInterrupted ? "stopped" : "finished";
}

void Orchestrator::report(int code) const {
  std::cout << scoreboard_.tables() << "\n"
            << ledger_summary(ledger_) << (ledger_.empty() ? "" : ledger_table(ledger_));
  for (const std::string& failure : scoreboard_.failures()) std::cout << "failed: " << failure << "\n";
  std::cout << "files: " << directory_.root().string()
            << "/{results,samples,responses,ledger.jsonl,manifest.json,logs}\n";
  if (code == kStoppedEarly || code == kInterrupted)
    std::cout << "stopped early (" << counted(conductor_->unstored(), "shard")
              << " left); the same command goes on from here\n";
  std::cout << std::flush;
}

void Orchestrator::show_progress(bool force) {
  if (now() - last_status_ > kStatusPause) write_status("running", std::nullopt);
  if (!force && now() - last_view_ < kViewPause) return;
  last_view_ = now();
  std::vector<ProgressLine> lines;
  const double seconds = std::max(1e-3, now().count());
  double left = 0;
  for (std::size_t p = 0; p < work_.cells.size(); ++p) left += scoreboard_.progress(p).flops_left;
  const double speed = (total_flops_ - left) / seconds;
  for (std::size_t p = 0; p < work_.cells.size(); ++p) {
    const auto& progress = scoreboard_.progress(p);
    lines.push_back({work_.suite.modules[work_.cells[p].module.value].name + " / " +
                         work_.suite.tasks[work_.cells[p].task.value].name,
                     progress.done, progress.total, speed > 0 ? progress.flops_left / speed : 0});
  }
  view_.show(lines, conductor_->busy(), conductor_->slots(), static_cast<double>(tokens_) / seconds, now(), force);
}

void Orchestrator::write_status(const std::string& state, std::optional<int> code) {
  last_status_ = now();
  store_thread_.write_status(directory_.status(), status_text(state, code));
}

std::string Orchestrator::status_text(const std::string& state, std::optional<int> code) const {
  Json json = {{"state", state},
               {"exit_code", code ? Json(*code) : Json()},
               {"failed_requests", scoreboard_.failed_requests()},
               {"workers_busy", conductor_->busy()}};
  for (std::size_t p = 0; p < work_.cells.size(); ++p)
    json["pairs"].push_back({{"module", work_.suite.modules[work_.cells[p].module.value].name},
                             {"task", work_.suite.tasks[work_.cells[p].task.value].name},
                             {"done", scoreboard_.progress(p).done},
                             {"total", scoreboard_.progress(p).total}});
  json["scores"] = scoreboard_.provisional();
  json["failures"] = scoreboard_.failures();
  return json.dump(2) + "\n";
}

/// Predicted, beside what was measured: seconds of this start, and of each module.
void Orchestrator::add_forecast(nlohmann::ordered_json& manifest) const {
  for (std::uint32_t m = 0; m < work_.suite.modules.size(); ++m) {
    const ModuleForecast& forecast = forecast_.module(ModuleId{m});
    Json& module = manifest["modules"][work_.suite.modules[m].name];
    module["predicted"] = {{"run_s", forecast.run_s * work_.suite.modules[m].tensor_parallel},
                           {"load_s", forecast.load_s},
                           {"teardown_s", forecast.teardown_s},
                           {"allocated_peak", std::llround(forecast.memory.all())}};
  }
  double tokens = 0;
  for (std::size_t s = 0; s < work_.shards.size(); ++s) tokens += answered_before_[s] ? 0 : work_.shards[s].tokens;
  manifest["tokens_estimated"] = std::llround(tokens);
  if (work_.shards.size() > kMostRehearsed || workers_.empty()) return;
  const Outcome outcome = simulate(forecast_.scenario(workers_, answered_before_));
  if (outcome.violations.empty()) manifest["seconds_predicted"] = outcome.makespan;
}

std::string Orchestrator::manifest_text(int code) const {
  Json json;
  json["suite"] = work_.suite.name;
  json["exit_code"] = code;
  json["command_line"] = options_.command_line;
  json["device"] = nlohmann::json(work_.device);
  json["nodes"] = hosts_;
  for (const Cell& cell : work_.cells)
    json["identity"][work_.suite.modules[cell.module.value].name][work_.suite.tasks[cell.task.value].name] =
        cell.identity;
  json["shards"] = work_.shards.size();
  json["tokens_computed"] = tokens_;
  json["seconds"] = now().count();
  json["utilisation"] =
      conductor_->slots() ? busy_seconds_ / (now().count() * static_cast<double>(conductor_->slots())) : 0;
  json["modules"] = module_totals(ledger_);
  add_forecast(json);
  json["calibration"] = nlohmann::json(forecast_.predictor().known());
  json["measured"] = nlohmann::json(measured_);
  json["events"] = events_;
  for (const auto& [index, overrides] : overrides_) {
    const Shard& shard = work_.shards[index];
    Json entry = {{"module", work_.suite.modules[shard.module.value].name},
                  {"task", work_.suite.tasks[shard.task.value].name},
                  {"shard", index},
                  {"halved", overrides.level},
                  {"isolated_batches", overrides.isolated},
                  {"set_aside_requests", Json::object()}};
    for (const auto& [request, why] : overrides.excluded)
      entry["set_aside_requests"][std::to_string(shard.requests[request])] = why;
    json["shards_not_run_as_planned"].push_back(std::move(entry));
  }
  return json.dump(2) + "\n";
}

}  // namespace proctor
