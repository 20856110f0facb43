// How often a shard was tried, and what its failures mean: a worker that dies by itself, or hangs, in a shard strikes
// it; after the third strike its requests are set aside by name. Out of memory halves its batches instead. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "sharding/ids.h"

namespace proctor {

class Attempts {
 public:
  enum class Next { again, set_aside };

  explicit Attempts(std::size_t shards) : records_(shards) {}

  /// The number of the attempt that begins now, from 1.
  std::uint32_t begin(ShardId shard) { return ++records_[shard.value].attempts; }
  /// Its worker died by itself or hung.
  [[nodiscard]] Next on_strike(ShardId shard) {
    return ++records_[shard.value].strikes >= kStrikes ? Next::set_aside : Next::again;
  }
  /// It did not fit: from now on it runs at max_batch_tokens >> level(shard).
  [[nodiscard]] Next on_out_of_memory(ShardId shard) {
    return ++records_[shard.value].level > kLevels ? Next::set_aside : Next::again;
  }
  std::uint32_t strikes(ShardId shard) const { return records_[shard.value].strikes; }
  std::uint32_t level(ShardId shard) const { return records_[shard.value].level; }
  void restore_level(ShardId shard, std::uint32_t level) { records_[shard.value].level = level; }

 private:
  static constexpr std::uint32_t kStrikes = 3, kLevels = 6;
  struct Record {
    std::uint32_t attempts = 0, strikes = 0, level = 0;
  };
  std::vector<Record> records_;
};

}  // namespace proctor
