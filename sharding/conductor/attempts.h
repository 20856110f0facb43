// How often a shard was tried, and what its failures mean. A worker that dies by itself, or hangs, in a shard strikes
// it. After the third strike (on as many devices, where there are some) only the batch named at death is run request by
// request, `isolated`; what then kills is excluded by name. Out of memory: once in a fresh worker (what was left in
// the old one must not change a byte), then with half the tokens a batch, `halved`, a quarter, ... Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sharding/protocol/ids.h"

namespace proctor {

/// Where in a shard a worker was, by what it announced last.
struct BatchPlace {
  std::optional<std::uint32_t> batch, request;  ///< request: where that batch has one only
};

/// What decides a shard's bytes beside its requests. Durable, and the same for every later attempt.
struct ShardOverrides {
  std::uint32_t level = 0;                        ///< halved: it runs at max_batch_tokens >> level
  std::set<std::uint32_t> isolated;               ///< batches, of this level, that are run request by request
  std::map<std::uint32_t, std::string> excluded;  ///< requests that are not run, and why
};

/// Kills from outside, in a row. Each 20th counts as a failure all the same, lest they go on for ever.
class OutsideKills {
 public:
  /// One more. True if it counts.
  [[nodiscard]] bool counts() { return ++kills_ % 20 == 0; }

 private:
  std::uint32_t kills_ = 0;
};

class Attempts {
 public:
  enum class Next { again, fresh_worker, halved, isolated, request_set_aside, shard_set_aside };

  explicit Attempts(std::size_t shards) : records_(shards) {}
  /// So many more, behind the others.
  void add(std::size_t shards) { records_.resize(records_.size() + shards); }

  /// The number of the attempt that begins now, from 1.
  std::uint32_t begin(ShardId shard) { return ++records_[shard.value].attempts; }
  /// Whether an answer of that attempt has the bytes of the shard's present overrides.
  bool current(ShardId shard, std::uint32_t attempt) const { return attempt > records_[shard.value].overridden_after; }

  /// Its worker died by itself or hung, on `device`; `devices` could still be used.
  [[nodiscard]] Next on_strike(ShardId shard, SlotId device, std::size_t devices, const BatchPlace& at,
                               const std::string& reason);
  /// Its worker was killed from outside. True if that counts as a strike.
  [[nodiscard]] bool on_outside_kill(ShardId shard) { return records_[shard.value].outside.counts(); }
  /// It did not fit.
  [[nodiscard]] Next on_out_of_memory(ShardId shard);

  bool struck_on(ShardId shard, SlotId device) const;
  std::size_t strikes(ShardId shard) const { return records_[shard.value].strikes.size(); }
  const ShardOverrides& overrides(ShardId shard) const { return records_[shard.value].overrides; }
  void restore(ShardId shard, ShardOverrides overrides) { records_[shard.value].overrides = std::move(overrides); }

 private:
  static constexpr std::size_t kStrikes = 3, kMostStrikes = 5;  // most: where other devices never come to it
  static constexpr std::uint32_t kLevels = 6;
  struct Record {
    std::uint32_t attempts = 0;
    OutsideKills outside;
    std::uint32_t overridden_after = 0;  // attempts up to this one had other overrides
    bool had_fresh_worker = false;
    std::vector<SlotId> strikes;  // the device of each
    ShardOverrides overrides;
  };
  static bool struck_out(const Record& record, std::size_t devices);
  std::vector<Record> records_;
};

}  // namespace proctor
