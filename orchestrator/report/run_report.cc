#include "orchestrator/report/run_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <utility>

#include "orchestrator/base/exit_code.h"
#include "orchestrator/base/formatted.h"
#include "orchestrator/report/ledger_view.h"
#include "orchestrator/report/metrics_text.h"
#include "sharding/planning/calibration_json.h"
#include "sharding/protocol/facts_json.h"
#include "sharding/protocol/ledger_json.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;
constexpr Moment kStatusPause{1}, kViewPause{0.1};
constexpr std::size_t kMostFailuresPrinted = 20;
constexpr std::size_t kMostSimulated = 100000;  // shards; so many take about a second

/// Of tasks that read the best module's answers: which that is, where it is known.
Json chosen_modules(const Work& work) {
  Json chosen = Json::object();
  for (std::uint32_t t = 0; t < work.suite.tasks.size(); ++t) {
    const Task& task = work.suite.tasks[t];
    if (task.upstream && task.upstream->of == Upstream::Of::best && !work.waits(TaskId{t}))
      chosen[task.name] = task.upstream->sources.front().module;
  }
  return chosen;
}

}  // namespace

RunReport::RunReport(const Work& work, Options options, const RunDirectory& directory, StoreThread& store,
                     const Scoreboard& scoreboard, const Forecast& forecast, EarlierStarts earlier,
                     std::ostream& terminal, std::function<Moment()> now)
    : work_(work),
      options_(std::move(options)),
      directory_(directory),
      store_(store),
      scoreboard_(scoreboard),
      forecast_(forecast),
      view_(options_.progress, terminal),
      now_(std::move(now)),
      earlier_seconds_(earlier.seconds),
      events_(std::move(earlier.events)),
      overrides_(std::move(earlier.overrides)),
      answered_before_(std::move(earlier.answered)) {
  on_planned();
  std::string ledger;
  for (const LedgerLine& line : earlier.ledger) ledger += Json(line).dump() + "\n";
  if (std::filesystem::exists(directory.ledger()) || !ledger.empty())
    store_.write(directory.ledger(), ledger);  // a crash may have torn its last line
}

void RunReport::on_planned() {
  total_flops_ = 0;
  work_.each_shard([this](const Shard& shard) { total_flops_ += shard.flops; });
}

void RunReport::say(const std::string& message) {
  if (!options_.quiet) view_.say(message);
  log(message);
}

void RunReport::log(const std::string& message) {
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%9.3f ", now_().count());
  store_.append(directory_.logs() / "orchestrator.log", seconds + message + "\n");
}

void RunReport::event(const std::string& message) {
  events_.push_back(message);
  store_.put({StoreRow::Table::log, "event", "", message, std::nullopt});
  say("proctor: " + message);
}

// ---- what happens

void RunReport::worker_started(SlotId worker) {
  started_[worker] = now_().count();
  if (!seen_.insert(worker).second) ++replaced_;
}

void RunReport::visit_opened(VisitId visit, ModuleId module) { opened_[visit] = {module, timeline_seconds()}; }

void RunReport::assigned(const Assignment& assignment, SlotId first_member) {
  assignments_[assignment.visit] = {assignment.shard, timeline_seconds()};
  if (assignment.attempt > 1)
    log("shard " + std::to_string(assignment.shard.value) + " is handed out again, attempt " +
        std::to_string(assignment.attempt) + ", to worker " + device_name(first_member));
}

void RunReport::reported(SlotId worker, const WorkerReport& report) {
  if (std::holds_alternative<WorkerReady>(report)) {
    if (const auto started = started_.extract(worker)) measured_.start.add(1, now_().count() - started.mapped());
  } else if (const auto* opened = std::get_if<VisitOpened>(&report)) {
    const auto visit = opened_.find(opened->visit);
    if (visit == opened_.end()) return;
    const std::size_t m = visit->second.module.value;
    const double bytes = static_cast<double>(work_.facts[m].weight_bytes) / work_.suite.modules[m].tensor_parallel;
    if (!work_.occupant_of(m).is_guest()) measured_.load[size_class(bytes)].add(bytes, opened->load_s);
  } else if (const auto* done = std::get_if<ShardAnswered>(&report)) {
    answered(*done);
  }
}

void RunReport::answered(const ShardAnswered& report) {
  tokens_ += report.tokens;
  const auto assignment = assignments_.find(report.visit);
  if (assignment == assignments_.end() || assignment->second.shard != report.shard) return;
  const Shard& shard = work_.shards[report.shard.value];
  const auto parameters = static_cast<double>(work_.facts[shard.module.value].parameters);
  measured_.runs[work_name_of(work_, shard)][size_class(parameters)].add(
      shard.flops, report.seconds * work_.suite.modules[shard.module.value].tensor_parallel);
  const Json line = {{"visit", report.visit.value},
                     {"shard", report.shard.value},
                     {"module", work_.suite.modules[shard.module.value].name},
                     {"task", work_.suite.tasks[shard.task.value].name},
                     {"attempt", report.attempt},
                     {"begin_s", assignment->second.begin},
                     {"run_s", report.seconds},
                     {"tokens", report.tokens},
                     {"flops_estimated", shard.flops}};
  store_.append(directory_.turns(), line.dump() + "\n");
  assignments_.erase(assignment);
}

void RunReport::closed(const LedgerEntry& entry) {
  LedgerLine line{work_.suite.modules[entry.module.value].name,
                  entry.visit,
                  entry.slot,
                  entry.incarnation,
                  entry.member,
                  entry.members,
                  work_.device.kind,
                  entry.verdict,
                  entry.reason,
                  opened_[entry.visit].at,
                  timeline_seconds(),
                  std::nullopt,
                  entry.row};
  if (const auto assignment = assignments_.find(entry.visit); assignment != assignments_.end())
    line.lost_s = timeline_seconds() - assignment->second.begin;
  if (entry.verdict != Verdict::aborted && !entry.row.guest) measured_.teardown.add(1, entry.row.teardown_s);
  busy_seconds_ += entry.row.load_s + entry.row.run_s + entry.row.teardown_s;
  const std::string text = Json(line).dump();
  store_.put({StoreRow::Table::log, "ledger", "", text, std::nullopt});
  store_.append(directory_.ledger(), text + "\n");
  ledger_.push_back(std::move(line));
}

// ---- what is told

const char* RunReport::state_of(int code) {
  return code == kStoppedEarly || code == kInterrupted ? "stopped" : "finished";
}

void RunReport::show_progress(const Standing& standing, bool force) {
  if (now_() - last_status_ > kStatusPause) write_status("running", std::nullopt, standing);
  if (!force && now_() - last_view_ < kViewPause) return;
  last_view_ = now_();
  const double seconds = std::max(1e-3, now_().count()), speed = this->speed();
  std::vector<ProgressLine> lines;
  for (std::size_t c = 0; c < work_.cells.size(); ++c) {
    const auto& progress = scoreboard_.progress(c);
    lines.push_back(
        {name_of(work_, work_.cells[c]), progress.done, progress.total, speed > 0 ? progress.flops_left / speed : 0});
  }
  view_.show(lines, standing.busy, standing.slots, static_cast<double>(tokens_) / seconds, now_(), force);
}

void RunReport::tell_what_is_scored() {
  std::string names;
  for (const std::size_t cell : scoreboard_.left_to_score())
    names += (names.empty() ? "" : ", ") + name_of(work_, work_.cells[cell]);
  say("proctor: every answer is in; still scoring " + names);
}

/// FLOPs a second of this start, as they were estimated.
double RunReport::speed() const {
  double left = 0;
  for (std::size_t c = 0; c < work_.cells.size(); ++c) left += scoreboard_.progress(c).flops_left;
  return (total_flops_ - left) / std::max(1e-3, now_().count());
}

double RunReport::cost(const Standing& standing) const {
  return options_.gpu_hour.value_or(0) * static_cast<double>(standing.slots) * now_().count() / 3600;
}

void RunReport::write_status(const std::string& state, std::optional<int> code, const Standing& standing) {
  last_status_ = now_();
  store_.write_status(directory_.status(), status(state, code, standing));
  store_.write_status(directory_.metrics(), metrics(state, code, standing));
}

void RunReport::write_last_status(const std::string& state, int code, const Standing& standing) const {
  write_status_file(directory_.status(), status(state, code, standing));
  write_status_file(directory_.metrics(), metrics(state, code, standing));
}

std::string RunReport::metrics(const std::string& state, std::optional<int> code, const Standing& standing) const {
  MetricsText text({{"suite", work_.suite.name}, {"run", std::filesystem::absolute(directory_.root()).string()}});
  for (const char* one : {"running", "finished", "stopped", "failed"})
    text.add("proctor_state", "What the run is at: 1 at one of these.", state == one, {{"state", one}});
  if (code) text.add("proctor_exit_code", "How the run ended.", *code);
  double left = 0;
  for (std::size_t c = 0; c < work_.cells.size(); ++c) {
    const MetricsText::Labels pair = {{"module", work_.suite.modules[work_.cells[c].module.value].name},
                                      {"task", work_.suite.tasks[work_.cells[c].task.value].name}};
    const auto& progress = scoreboard_.progress(c);
    text.add("proctor_requests", "Requests of a module and task.", static_cast<double>(progress.total), pair);
    text.add("proctor_requests_done", "Those of them whose answers are stored.", static_cast<double>(progress.done),
             pair);
    left += progress.flops_left;
  }
  text.add("proctor_requests_failed", "Requests that have no answer.",
           static_cast<double>(scoreboard_.failed_requests()));
  text.add("proctor_workers", "Worker places.", static_cast<double>(standing.slots));
  text.add("proctor_workers_busy", "Workers that have a module.", static_cast<double>(standing.busy));
  text.add("proctor_workers_replaced", "Workers that were started in place of another, by this start.",
           static_cast<double>(replaced_));
  text.add("proctor_run_seconds", "Since this start.", now_().count());
  if (speed() > 0) text.add("proctor_left_seconds", "Estimated until the last answer.", left / speed());
  text.add("proctor_tokens", "Computed by this start.", static_cast<double>(tokens_));
  text.add("proctor_tokens_per_second", "Since this start.",
           static_cast<double>(tokens_) / std::max(1e-3, now_().count()));
  add_ledger_metrics(text, ledger_);
  return text.text();
}

std::string RunReport::end_text(int code, const Standing& standing) const {
  std::size_t done = 0, total = 0;
  for (std::size_t c = 0; c < work_.cells.size(); ++c)
    done += scoreboard_.progress(c).done, total += scoreboard_.progress(c).total;
  std::string text = std::string(state_of(code)) + ": " + std::to_string(done) + " of " + counted(total, "request") +
                     " answered in " + duration_text(timeline_seconds());
  if (scoreboard_.failed_requests() > 0) text += ", " + std::to_string(scoreboard_.failed_requests()) + " failed";
  if (standing.unstored > 0) text += ", " + counted(standing.unstored, "shard") + " left; the same command goes on";
  return text;
}

std::string RunReport::status(const std::string& state, std::optional<int> code, const Standing& standing) const {
  Json json = {{"state", state},
               {"exit_code", code ? Json(*code) : Json()},
               {"failed_requests", scoreboard_.failed_requests()},
               {"workers_busy", standing.busy}};
  for (std::size_t c = 0; c < work_.cells.size(); ++c) {
    json["pairs"].push_back({{"module", work_.suite.modules[work_.cells[c].module.value].name},
                             {"task", work_.suite.tasks[work_.cells[c].task.value].name},
                             {"done", scoreboard_.progress(c).done},
                             {"total", scoreboard_.progress(c).total}});
    if (work_.waits(work_.cells[c].task)) json["pairs"].back()["waits"] = true;
  }
  if (Json chosen = chosen_modules(work_); !chosen.empty()) json["chosen"] = std::move(chosen);
  json["scores"] = scoreboard_.provisional();
  json["failures"] = scoreboard_.failures();
  return json.dump(2) + "\n";
}

void RunReport::print(int code, const Standing& standing, std::ostream& out) const {
  out << scoreboard_.tables();
  if (!options_.quiet) out << "\n" << ledger_summary(ledger_) << (ledger_.empty() ? "" : ledger_table(ledger_));
  const std::vector<std::string>& failures = scoreboard_.failures();
  const std::size_t shown = std::min(failures.size(), kMostFailuresPrinted);
  for (std::size_t f = 0; f < shown; ++f) out << "failed: " << failures[f] << "\n";
  if (shown < failures.size())
    out << "... and " << failures.size() - shown << " more: proctor show " << directory_.root().string()
        << " --failures\n";
  if (options_.gpu_hour && !options_.quiet)
    out << "cost: "
        << formatted("%.4g: %s for %s, at %g a device and hour\n", cost(standing),
                     counted(standing.slots, "device").c_str(), duration_text(now_().count()).c_str(),
                     *options_.gpu_hour);
  if (!options_.quiet)
    out << "files: " << directory_.root().string() << "/{results,samples,responses,ledger.jsonl,manifest.json,logs}\n";
  if (code == kStoppedEarly || code == kInterrupted)
    out << "stopped early (" << counted(standing.unstored, "shard") << " left); the same command goes on from here\n";
  out << std::flush;
}

/// Predicted, beside what was measured: seconds of this start, and of each module.
void RunReport::add_forecast(Json& manifest, const std::vector<std::uint32_t>& workers) const {
  for (std::uint32_t m = 0; m < work_.suite.modules.size(); ++m) {
    if (!work_.has_model(ModuleId{m})) continue;
    const ModuleForecast& forecast = forecast_.module(ModuleId{m});
    Json& module = manifest["modules"][work_.suite.modules[m].name];
    module["predicted"] = {{"run_s", forecast.run_s * work_.suite.modules[m].tensor_parallel},
                           {"load_s", forecast.load_s},
                           {"teardown_s", forecast.teardown_s},
                           {"allocated_peak", std::llround(forecast.memory.all())}};
  }
  double tokens = 0;
  for (std::size_t s = 0; s < work_.shards.size(); ++s)
    tokens += s < answered_before_.size() && answered_before_[s] ? 0 : work_.shards[s].tokens;
  manifest["tokens_estimated"] = std::llround(tokens);
  if (work_.shards.size() > kMostSimulated || workers.empty()) return;
  const Outcome outcome = simulate(forecast_.scenario(workers, answered_before_));
  if (outcome.violations.empty()) manifest["seconds_predicted"] = outcome.makespan;
}

std::string RunReport::manifest(int code, const Standing& standing, const std::vector<std::string>& hosts,
                                const std::vector<std::uint32_t>& workers) const {
  Json json;
  json["suite"] = work_.suite.name;
  json["exit_code"] = code;
  json["command_line"] = options_.command_line;
  json["device"] = nlohmann::json(work_.device);
  json["nodes"] = hosts;
  for (const Cell& cell : work_.cells)
    json["identity"][work_.suite.modules[cell.module.value].name][work_.suite.tasks[cell.task.value].name] =
        cell.identity;
  if (Json chosen = chosen_modules(work_); !chosen.empty()) json["chosen"] = std::move(chosen);
  for (std::size_t m = 0; m < work_.suite.modules.size(); ++m)
    if (const auto& engine = work_.suite.modules[m].engine)
      json["engines"][work_.suite.modules[m].name] = {{"command", engine->command},
                                                      {"facts", nlohmann::json(work_.facts[m].engine)}};
  json["shards"] = work_.shards.size();
  json["tokens_computed"] = tokens_;
  json["seconds"] = now_().count();
  json["utilisation"] = standing.slots ? busy_seconds_ / (now_().count() * static_cast<double>(standing.slots)) : 0;
  if (options_.gpu_hour) json["gpu_hour"] = *options_.gpu_hour, json["cost"] = cost(standing);
  json["modules"] = module_totals(ledger_);
  add_forecast(json, workers);
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
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";  // a command line may hold any bytes
}

}  // namespace proctor
