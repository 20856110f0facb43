// How often a shard was tried, and what its failures mean: a worker that dies by itself, or hangs, in a shard strikes
// it; after the third strike its requests are set aside by name. Out of memory: once in a fresh worker (what was left
// in the old one must not change a byte), then with half the tokens a batch, a quarter, ... Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "sharding/ids.h"

namespace proctor {

class Attempts {
 public:
  enum class Next { again, fresh_worker, halved, set_aside };

  explicit Attempts(std::size_t shards) : records_(shards) {}

  /// The number of the attempt that begins now, from 1.
  std::uint32_t begin(ShardId shard) { return ++records_[shard.value].attempts; }
  /// Its worker died by itself or hung.
  [[nodiscard]] Next on_strike(ShardId shard) {
    return ++records_[shard.value].strikes >= kStrikes ? Next::set_aside : Next::again;
  }
  /// It did not fit. Halved: from now on it runs at max_batch_tokens >> level(shard).
  [[nodiscard]] Next on_out_of_memory(ShardId shard) {
    Record& record = records_[shard.value];
    if (record.level == 0 && !record.had_fresh_worker) {
      record.had_fresh_worker = true;
      return Next::fresh_worker;
    }
    return ++record.level > kLevels ? Next::set_aside : Next::halved;
  }
  std::uint32_t strikes(ShardId shard) const { return records_[shard.value].strikes; }
  std::uint32_t level(ShardId shard) const { return records_[shard.value].level; }
  void restore_level(ShardId shard, std::uint32_t level) { records_[shard.value].level = level; }

 private:
  static constexpr std::uint32_t kStrikes = 3, kLevels = 6;
  struct Record {
    std::uint32_t attempts = 0, strikes = 0, level = 0;
    bool had_fresh_worker = false;
  };
  std::vector<Record> records_;
};

}  // namespace proctor
