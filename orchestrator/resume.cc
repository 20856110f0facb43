#include "orchestrator/resume.h"

#include "sharding/error.h"

namespace proctor {
namespace {

void refuse_other_suite(RunStore& store, const Work& work) {
  const auto name = store.get("meta", "suite");
  if (name && *name != work.suite.name)
    throw UsageError("the run directory belongs to suite '" + *name + "', not '" + work.suite.name +
                     "'; give --out another folder, or --fresh to begin anew");
}

void refuse_changed(const std::string& pair, const nlohmann::json& before, const nlohmann::json& now) {
  for (const auto& [key, value] : now.items())
    if (!before.contains(key) || before.at(key) != value)
      throw UsageError(pair + " has changed since this run began: " + key + " was " +
                       (before.contains(key) ? before.at(key).dump() : "absent") + ", is " + value.dump() +
                       "; --redo-changed computes changed pairs again, --fresh begins anew");
}

}  // namespace

Resumed resume(RunStore& store, const Work& work, bool redo_changed) {
  refuse_other_suite(store, work);
  for (const Pair& pair : work.pairs) {
    const std::string name =
        work.suite.modules[pair.module.value].name + " / " + work.suite.tasks[pair.task.value].name;
    const auto before = store.get("pair", name);
    if (before && !redo_changed) refuse_changed(name, nlohmann::json::parse(*before), pair.identity);
  }
  store.begin();
  store.put("meta", "suite", work.suite.name);
  for (const Pair& pair : work.pairs)
    store.put("pair", work.suite.modules[pair.module.value].name + " / " + work.suite.tasks[pair.task.value].name,
              pair.identity.dump());
  store.commit();
  Resumed resumed;
  std::map<std::string, std::uint32_t> shard_of;
  for (std::uint32_t s = 0; s < work.shards.size(); ++s) shard_of[work.shard_hashes[s]] = s;
  for (const auto& [hash, payload] : store.all("answer"))
    if (const auto shard = shard_of.find(hash); shard != shard_of.end())
      resumed.answers[shard->second] = decode_responses(payload);
  for (const auto& [hash, level] : store.all("level"))
    if (const auto shard = shard_of.find(hash); shard != shard_of.end())
      resumed.levels[shard->second] = static_cast<std::uint32_t>(std::stoul(level));
  for (auto& [key, event] : store.all("event")) resumed.events.push_back(std::move(event));
  if (const auto last = store.get("meta", "last_visit"))
    resumed.next_visit = static_cast<std::uint32_t>(std::stoul(*last)) + 1;
  return resumed;
}

}  // namespace proctor
