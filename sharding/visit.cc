#include "sharding/visit.h"

#include <algorithm>

namespace proctor {
namespace {
constexpr double kPatience = 20;  // times the estimated cost, before slow counts as hung
}

std::string to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::clean:
      return "clean";
    case Verdict::recycled:
      return "recycled";
    case Verdict::aborted:
      break;
  }
  return "aborted";
}

std::optional<std::string> dirt(const LedgerRow& row, std::uint64_t tolerance_bytes) {
  const auto left = [](std::uint64_t n, const char* what) { return std::to_string(n) + " " + what + " left"; };
  if (row.modules_left) return left(row.modules_left, "modules");
  if (row.communicators_left) return left(row.communicators_left, "communicators");
  if (row.graphs_left) return left(row.graphs_left, "graphs");
  if (row.allocated_after != row.allocated_before)
    return std::to_string(static_cast<std::int64_t>(row.allocated_after - row.allocated_before)) +
           " allocated bytes more than before";
  if (row.reserved_after > row.reserved_before + tolerance_bytes)
    return left(row.reserved_after - row.reserved_before, "reserved bytes");
  if (row.device_free_after + tolerance_bytes < row.device_free_before)
    return std::to_string(row.device_free_before - row.device_free_after) + " device bytes less free than before";
  return std::nullopt;
}

Visit::Visit(VisitId id, ModuleId module, std::vector<SlotId> members, Moment now, const Deadlines& deadlines)
    : id_(id),
      module_(module),
      members_(std::move(members)),
      deadlines_(deadlines),
      opened_(members_.size(), false),
      rows_(members_.size()),
      due_(now + deadlines.load),
      unit_(deadlines.progress) {}

std::optional<std::uint32_t> Visit::member(SlotId slot) const {
  const auto found = std::find(members_.begin(), members_.end(), slot);
  if (found == members_.end()) return std::nullopt;
  return static_cast<std::uint32_t>(found - members_.begin());
}

bool Visit::on_opened(std::uint32_t member, Moment now) {
  opened_[member] = true;
  if (state_ != VisitState::opening || !std::all_of(opened_.begin(), opened_.end(), [](bool b) { return b; }))
    return false;
  state_ = VisitState::serving;
  due_ = now + deadlines_.progress;
  return true;
}

void Visit::on_shard(ShardId shard, Moment now, Moment expected) {
  shard_ = shard;
  unit_ = std::max(Moment(deadlines_.progress), kPatience * expected);
  due_ = now + unit_;
}

void Visit::on_progress(Moment now) {
  switch (state_) {
    case VisitState::opening:
      due_ = now + deadlines_.load;
      break;
    case VisitState::serving:
      due_ = now + unit_;
      break;
    case VisitState::closing:
      due_ = now + deadlines_.teardown;
      break;
    case VisitState::ended:
      break;
  }
}

void Visit::on_closing(Moment now) {
  state_ = VisitState::closing;
  due_ = now + deadlines_.teardown;
}

bool Visit::on_closed(std::uint32_t member, const LedgerRow& row) {
  rows_[member] = row;
  if (state_ != VisitState::closing ||
      !std::all_of(rows_.begin(), rows_.end(), [](const auto& r) { return r.has_value(); }))
    return false;
  state_ = VisitState::ended;
  return true;
}

std::optional<std::string> Visit::late(Moment now) const {
  if (now < due_) return std::nullopt;
  switch (state_) {
    case VisitState::opening:
      return "load";
    case VisitState::serving:
      return shard_ ? std::optional<std::string>("progress") : std::nullopt;
    case VisitState::closing:
      return "teardown";
    case VisitState::ended:
      break;
  }
  return std::nullopt;
}

Verdict Visit::verdict(std::uint64_t tolerance_bytes) const {
  if (aborted_) return Verdict::aborted;
  for (const auto& row : rows_)
    if (!row || dirt(*row, tolerance_bytes)) return Verdict::recycled;
  return Verdict::clean;
}

}  // namespace proctor
