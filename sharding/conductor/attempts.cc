#include "sharding/conductor/attempts.h"

#include <algorithm>

namespace proctor {

bool Attempts::struck_out(const Record& record, std::size_t devices) {
  const std::set<SlotId> distinct(record.strikes.begin(), record.strikes.end());
  return record.strikes.size() >= kMostStrikes ||
         (record.strikes.size() >= kStrikes && distinct.size() >= std::min(kStrikes, devices));
}

Attempts::Next Attempts::on_strike(ShardId shard, SlotId device, std::size_t devices, const BatchPlace& at,
                                   const std::string& reason) {
  Record& record = records_[shard.value];
  const auto override_shard = [&](Next next) {
    record.strikes.clear();
    record.overridden_after = record.attempts;
    return next;
  };
  const bool alone = at.batch && at.request && record.overrides.isolated.contains(*at.batch);
  if (alone && record.overrides.excluded.emplace(*at.request, reason).second)
    return override_shard(Next::request_set_aside);
  record.strikes.push_back(device);
  if (!struck_out(record, devices)) return Next::again;
  if (at.batch && record.overrides.isolated.insert(*at.batch).second) return override_shard(Next::isolated);
  return Next::shard_set_aside;
}

Attempts::Next Attempts::on_out_of_memory(ShardId shard) {
  Record& record = records_[shard.value];
  if (record.overrides.level == 0 && !record.had_fresh_worker) {
    record.had_fresh_worker = true;
    return Next::fresh_worker;
  }
  if (record.overrides.level == kLevels) return Next::shard_set_aside;
  ++record.overrides.level;
  record.overrides.isolated.clear();  // its batches are others now
  record.overridden_after = record.attempts;
  return Next::halved;
}

bool Attempts::struck_on(ShardId shard, SlotId device) const {
  return std::ranges::find(records_[shard.value].strikes, device) != records_[shard.value].strikes.end();
}

}  // namespace proctor
