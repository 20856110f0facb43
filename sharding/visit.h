// One stay of a module on a gang: opening -> serving -> closing -> ended, with a deadline on every wait and a measured
// verdict. Pure; the conductor feeds it and carries out what it says. Members are numbered 0..size-1.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sharding/ids.h"
#include "sharding/message.h"
#include "sharding/roster.h"

namespace proctor {

enum class VisitState { opening, serving, closing, ended };
enum class Verdict { clean, recycled, aborted };
std::string to_string(Verdict verdict);

/// Why a member's row is not clean, or nullopt: exact for allocated bytes, communicators, graphs and modules; within
/// the tolerance for reserved, device-free bytes.
std::optional<std::string> dirt(const LedgerRow& row, std::uint64_t tolerance_bytes);

class Visit {
 public:
  Visit(VisitId id, ModuleId module, std::vector<SlotId> members, Moment now, const Deadlines& deadlines);

  VisitId id() const { return id_; }
  ModuleId module() const { return module_; }
  VisitState state() const { return state_; }
  std::span<const SlotId> members() const { return members_; }
  std::optional<std::uint32_t> member(SlotId slot) const;
  std::optional<ShardId> shard() const { return shard_; }
  const std::vector<std::optional<LedgerRow>>& rows() const { return rows_; }

  /// True when the last member has opened: the gang serves.
  bool on_opened(std::uint32_t member, Moment now);
  /// `expected`: estimated seconds of the whole shard; units of it may take 20 times that.
  void on_shard(ShardId shard, Moment now, Moment expected = Moment(0));
  void on_progress(Moment now);  ///< an announced unit began
  void on_shard_done(Moment now) {
    shard_.reset();
    on_progress(now);
  }
  void on_closing(Moment now);
  /// True when the last member has closed: the visit ended.
  bool on_closed(std::uint32_t member, const LedgerRow& row);
  void abort() {
    state_ = VisitState::ended;
    aborted_ = true;
  }

  /// Past its deadline: names what was waited for.
  std::optional<std::string> late(Moment now) const;
  Verdict verdict(std::uint64_t tolerance_bytes) const;

 private:
  VisitId id_;
  ModuleId module_;
  std::vector<SlotId> members_;
  Deadlines deadlines_;
  VisitState state_ = VisitState::opening;
  std::vector<bool> opened_;
  std::vector<std::optional<LedgerRow>> rows_;
  std::optional<ShardId> shard_;
  Moment due_;
  Moment unit_;  // how long the next unit of a shard may take
  bool aborted_ = false;
};

}  // namespace proctor
