#include "orchestrator/run/resume.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "orchestrator/metrics/hashes.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/ledger_json.h"

namespace proctor {
namespace {

void refuse_other_suite(RunStore& store, const Work& work) {
  const auto name = store.get("meta", "suite");
  if (name && *name != work.suite.name)
    throw UsageError("the run directory belongs to suite '" + *name + "', not '" + work.suite.name +
                     "'; give --out another folder, or --fresh to begin anew");
}

/// A key of a cell's identity as its user knows it. Hashes say nothing to anybody, so only values are shown.
std::string change_of(const std::string& key, const nlohmann::json& before, const nlohmann::json& now) {
  if (key == "model") return "the files of its model are others";
  if (key == "numerics") return "proctor is another build";
  const auto limit = [](const nlohmann::json& pair) {
    const double rows = pair.value("limit", 0.0);
    if (rows <= 0) return std::string("no --limit");
    return "--limit " + (rows < 1 ? nlohmann::json(rows).dump() : std::to_string(std::llround(rows)));
  };
  const bool asked = key == "requests" || key == "foreseen";
  if (asked && limit(before) != limit(now)) return "it began with " + limit(before) + ", now there is " + limit(now);
  if (key == "answers") return "what it reads has changed";
  if (asked) return "its requests are others (rows, prompts, few-shot examples or generation settings)";
  if (key == "plan") return "its requests are divided otherwise among workers";
  return key + " was " + (before.contains(key) ? before.at(key).dump() : "absent") + ", is " + now.at(key).dump();
}

/// The plan follows from the others, so it is named only if it alone differs.
void refuse_changed(const std::string& cell, const nlohmann::json& before, const nlohmann::json& now) {
  const auto differs = [&](const std::string& key) { return !before.contains(key) || before.at(key) != now.at(key); };
  std::string changed;
  for (const auto& [key, value] : now.items())
    if (key != "limit" && differs(key) && (changed.empty() || changed == "plan")) changed = key;
  if (changed.empty()) return;
  throw UsageError(cell + " has changed since this run began: " + change_of(changed, before, now) +
                   "; --redo-changed computes changed pairs again, --fresh begins anew, --out keeps both");
}

using Plans = std::map<std::pair<ModuleId, TaskId>, std::string>;

/// Each cell's shards as planned, as one text: the same work has to be cut in the same way.
Plans plans(const Work& work) {
  Plans plans;
  for (std::size_t s = 0; s < work.shards.size(); ++s)
    plans[{work.shards[s].module, work.shards[s].task}] += work.shard_hashes[s];
  return plans;
}

nlohmann::json identity_record(const Work& work, const Cell& cell, const Plans& plans) {
  nlohmann::json record = cell.identity;
  const auto plan = plans.find({cell.module, cell.task});
  if (!work.waits(cell.task)) record["plan"] = xxh3_hex(plan == plans.end() ? "" : plan->second);
  record["limit"] = work.limit.value;  // for messages
  return record;
}

/// Of the cells of a task, as far as they are known before anything is answered: so what it can be chosen of.
std::string settings_hash(const Work& work, const Task& task) {
  std::string text;
  for (const Cell& cell : work.cells)
    if (work.suite.tasks[cell.task.value].name == task.name) text += cell.identity.at("answers").dump();
  return xxh3_hex(text);
}

void read_choices(RunStore& store, const Work& work, Resumed& resumed) {
  for (const auto& [name, payload] : store.all("chosen")) {
    const auto task = std::ranges::find(work.suite.tasks, name, &Task::name);
    if (task == work.suite.tasks.end() || !task->upstream || task->upstream->of != Upstream::Of::best) continue;
    const auto record = nlohmann::json::parse(payload);
    if (record.at("settings") == settings_hash(work, *task)) resumed.chosen[name] = record.at("module");
  }
}

void read_log(RunStore& store, const Work& work, Resumed& resumed) {
  std::unordered_map<std::string, std::uint32_t> shard_of;
  for (std::uint32_t s = 0; s < work.shards.size(); ++s) shard_of[work.shard_hashes[s]] = s;
  store.replay([&](std::string_view kind, std::string_view key, std::string_view payload) {
    if (kind == "event") resumed.events.emplace_back(payload);
    if (kind == "ledger") {
      resumed.ledger.push_back(nlohmann::ordered_json::parse(payload).get<LedgerLine>());
      resumed.seconds = std::max(resumed.seconds, resumed.ledger.back().closed_s);
    }
    if (kind != "answer") return;
    if (const auto shard = shard_of.find(std::string(key)); shard != shard_of.end())
      resumed.answers[shard->second] = decode_responses(payload);
    else if (!work.waiting.empty())
      resumed.later[std::string(key)] = payload;
  });
  for (const auto& [hash, payload] : store.all("shape"))
    if (const auto shard = shard_of.find(hash); shard != shard_of.end())
      resumed.overrides[shard->second] = decode_overrides(payload);
    else if (!work.waiting.empty())
      resumed.later_overrides[hash] = payload;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> identity_records(const Work& work, std::span<const TaskId> tasks) {
  const Plans planned = plans(work);
  std::vector<std::pair<std::string, std::string>> records;
  for (const Cell& cell : work.cells)
    if (std::ranges::find(tasks, cell.task) != tasks.end())
      records.emplace_back(name_of(work, cell), identity_record(work, cell, planned).dump());
  return records;
}

std::string encode_choice(const Work& work, TaskId id, const std::string& module) {
  return nlohmann::json{{"module", module}, {"settings", settings_hash(work, work.suite.tasks[id.value])}}.dump();
}

std::string encode_overrides(const ShardOverrides& overrides) {
  nlohmann::json json = {
      {"level", overrides.level}, {"isolated", overrides.isolated}, {"aside", nlohmann::json::array()}};
  for (const auto& [request, why] : overrides.excluded) json["aside"].push_back({request, why});
  return json.dump();
}

ShardOverrides decode_overrides(std::string_view payload) {
  const auto json = nlohmann::json::parse(payload);
  ShardOverrides overrides{json.at("level"), json.at("isolated"), {}};
  for (const auto& entry : json.at("aside")) overrides.excluded.emplace(entry.at(0), entry.at(1));
  return overrides;
}

Resumed resume(RunStore& store, const Work& work, bool redo_changed) {
  refuse_other_suite(store, work);
  std::vector<std::pair<std::string, std::string>> cells;
  const Plans planned = plans(work);
  for (const Cell& cell : work.cells) {
    const std::string name = name_of(work, cell);
    const nlohmann::json now = identity_record(work, cell, planned);
    if (const auto before = store.get("pair", name); before && !redo_changed)
      refuse_changed(name, nlohmann::json::parse(*before), now);
    cells.emplace_back(name, now.dump());
  }
  store.begin();
  store.put("meta", "suite", work.suite.name);
  for (const auto& [name, identity] : cells) store.put("pair", name, identity);
  store.commit();
  Resumed resumed;
  read_log(store, work, resumed);
  read_choices(store, work, resumed);
  if (const auto last = store.get("meta", "last_visit"))
    resumed.next_visit = static_cast<std::uint32_t>(std::stoul(*last)) + 1;
  resumed.bad_rows = store.bad_rows();
  return resumed;
}

}  // namespace proctor
