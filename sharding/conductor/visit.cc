#include "sharding/conductor/visit.h"

#include <algorithm>
#include <iterator>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr double kPatience = 20;      // times the estimated cost, before slow counts as hung
constexpr Moment kAbortPatience{10};  // for a member to measure and answer on the abort path, before it is killed

std::string deadline_name(VisitState state) {
  switch (state) {
    case VisitState::opening:
      return "load";
    case VisitState::serving:
      return "progress";
    case VisitState::closing:
    case VisitState::tearing_down:
      return "teardown";
    case VisitState::aborting:
    case VisitState::ended:
      break;
  }
  return "abort";
}

constexpr VisitTransition kTransitions[] = {
    {VisitState::opening, VisitEvent::all_opened, VisitState::serving},
    {VisitState::serving, VisitEvent::shard_given, VisitState::serving},
    {VisitState::serving, VisitEvent::shard_done, VisitState::serving},
    {VisitState::serving, VisitEvent::no_more_shards, VisitState::closing},
    {VisitState::closing, VisitEvent::all_well, VisitState::tearing_down},
    {VisitState::tearing_down, VisitEvent::all_closed, VisitState::ended},
    {VisitState::opening, VisitEvent::trouble, VisitState::aborting},
    {VisitState::serving, VisitEvent::trouble, VisitState::aborting},
    {VisitState::closing, VisitEvent::trouble, VisitState::aborting},
    {VisitState::tearing_down, VisitEvent::trouble, VisitState::aborting},
    {VisitState::aborting, VisitEvent::all_closed, VisitState::ended},
};

}  // namespace

std::span<const VisitTransition> visit_transitions() { return kTransitions; }

std::string to_string(VisitState state) {
  static constexpr const char* kNames[] = {"opening", "serving", "closing", "tearing_down", "aborting", "ended"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string to_string(VisitEvent event) {
  static constexpr const char* kNames[] = {"every member has opened",
                                           "a shard is given",
                                           "the shard is answered, or is taken back",
                                           "no shard is left for it",
                                           "every member says that it is well",
                                           "a member died, is late, or failed",
                                           "every member that is left has closed"};
  return kNames[static_cast<std::size_t>(event)];
}

namespace {

constexpr std::uint64_t kHostTolerance = 64u << 20;  // bytes; what allocators and caches of a Python process vary by

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(kMost, names.size()); ++i) text += (text.empty() ? "" : ", ") + names[i];
  return text + (names.size() > kMost ? " and " + std::to_string(names.size() - kMost) + " more" : "");
}

std::optional<Residue> outside_residue(const OutsideMeasures& seen, std::uint64_t tolerance_bytes,
                                       const std::set<std::string>& tolerated) {
  if (!seen.left.empty()) return Residue{"processes", "processes left: " + listed(seen.left), true};
  if (!seen.shared_left.empty())
    return Residue{"shared_left", "left in shared memory: " + listed(seen.shared_left), true};
  const auto counts = [&](const char* counter) { return !tolerated.contains(counter); };
  const auto more = [](std::uint64_t after, std::uint64_t before, const char* what) {
    return std::to_string(after - before) + " " + what + " more than before";
  };
  // A first visit's device baseline is a device without it; its memory's is a process without libraries.
  if (counts("device_after") && seen.device_before && seen.device_after && (seen.warmed_up || !seen.device_of_tree) &&
      *seen.device_after > *seen.device_before + tolerance_bytes)
    return Residue{"device_after", more(*seen.device_after, *seen.device_before, "device bytes"), false};
  if (!seen.warmed_up) return std::nullopt;
  if (counts("pss_after") && seen.pss_after > seen.pss_before + kHostTolerance)
    return Residue{"pss_after", more(seen.pss_after, seen.pss_before, "bytes of memory"), false};
  if (counts("descriptors_after") && seen.descriptors_after > seen.descriptors_before)
    return Residue{"descriptors_after", more(seen.descriptors_after, seen.descriptors_before, "file descriptors"),
                   false};
  return std::nullopt;
}

}  // namespace

std::optional<Residue> find_residue(const LedgerRow& row, std::uint64_t tolerance_bytes,
                                    const std::set<std::string>& tolerated) {
  if (row.guest) return row.outside ? outside_residue(*row.outside, tolerance_bytes, tolerated) : std::nullopt;
  const auto left = [](std::uint64_t n, const char* what) { return std::to_string(n) + " " + what + " left"; };
  const auto more = [](std::int64_t after, std::int64_t before, const char* what) {
    return std::to_string(after - before) + " " + what + " more than before";
  };
  if (row.modules_left) return Residue{"modules_left", left(row.modules_left, "modules"), true};
  if (row.communicators_left) return Residue{"communicators_left", left(row.communicators_left, "communicators"), true};
  if (row.graphs_left) return Residue{"graphs_left", left(row.graphs_left, "graphs"), true};
  if (row.allocated_after != row.allocated_before)
    return Residue{"allocated_after",
                   more(static_cast<std::int64_t>(row.allocated_after), static_cast<std::int64_t>(row.allocated_before),
                        "allocated bytes"),
                   true};
  if (!row.warmed_up) return std::nullopt;
  const auto counts = [&](const char* counter) { return !tolerated.contains(counter); };
  if (counts("reserved_after") && row.reserved_after > row.reserved_before + tolerance_bytes)
    return Residue{"reserved_after", left(row.reserved_after - row.reserved_before, "reserved bytes"), false};
  if (counts("device_free_after") && row.device_free_after + tolerance_bytes < row.device_free_before)
    return Residue{
        "device_free_after",
        std::to_string(row.device_free_before - row.device_free_after) + " device bytes less free than before", false};
  if (counts("file_descriptors") && row.file_descriptors > row.file_descriptors_before)
    return Residue{"file_descriptors", more(row.file_descriptors, row.file_descriptors_before, "file descriptors"),
                   false};
  if (counts("threads") && row.threads > row.threads_before)
    return Residue{"threads",
                   more(row.threads, row.threads_before, "threads") +
                       (row.new_threads.empty() ? "" : " (" + row.new_threads + ")"),
                   false};
  return std::nullopt;
}

Visit::Visit(VisitId id, ModuleId module, std::span<const Member> members, Moment now, const Deadlines& deadlines,
             By by)
    : id_(id), module_(module), deadlines_(deadlines), by_(by), allowance_(deadlines.load) {
  for (const Member& member : members) members_.emplace_back().member = member;
  wait_for_members(now, deadlines.load);
}

void Visit::go(VisitEvent event) {
  const auto way = std::ranges::find_if(
      kTransitions, [&](const VisitTransition& one) { return one.from == state_ && one.event == event; });
  PROCTOR_CHECK(way != std::end(kTransitions), "a visit goes from state to state by its table");
  state_ = way->to;
}

void Visit::begin(VisitEvent event, Moment now, Moment allowance) {
  go(event);
  wait_for_members(now, allowance);
}

void Visit::wait_for_members(Moment now, Moment allowance) {
  allowance_ = allowance;
  for (MemberState& member : members_) {
    member.done = member.row.has_value();  // measured already: an abort asks nothing more of it
    member.waits = false;
    member.due = now + allowance;
  }
}

std::vector<SlotId> Visit::slots() const {
  std::vector<SlotId> slots;
  for (const MemberState& member : members_) slots.push_back(member.member.slot);
  return slots;
}

bool Visit::all_done() const {
  return std::ranges::all_of(members_, [](const MemberState& m) { return m.done || !m.here; });
}

std::optional<std::uint32_t> Visit::member(SlotId slot) const {
  for (std::uint32_t m = 0; m < members_.size(); ++m)
    if (members_[m].here && members_[m].member.slot == slot) return m;
  return std::nullopt;
}

bool Visit::on_opened(std::uint32_t member, Moment now) {
  if (state_ != VisitState::opening) return false;
  members_[member].done = true;
  if (!all_done()) return false;
  was_opened_ = true;
  begin(VisitEvent::all_opened, now, deadlines_.progress);
  return true;
}

Moment Visit::on_shard(ShardId shard, std::uint32_t attempt, Moment now, Moment expected) {
  shard_ = shard;
  attempt_ = attempt;
  for (MemberState& member : members_) member.place = {};
  begin(VisitEvent::shard_given, now, std::max(Moment(deadlines_.progress), kPatience * expected));
  return allowance_;
}

void Visit::on_progress(std::uint32_t member, const Progress& progress, Moment now) {
  MemberState& record = members_[member];
  record.units = progress.counter;
  record.unit = progress.unit;
  record.waits = false;
  const auto number = [](std::int64_t n) {
    return n < 0 ? std::nullopt : std::optional(static_cast<std::uint32_t>(n));
  };
  if (progress.batch >= 0) record.place = {number(progress.batch), number(progress.request)};
  if (state_ != VisitState::aborting) record.due = now + allowance_;
}

void Visit::resume(Moment now) {
  suspended_ = false;
  for (MemberState& member : members_) member.due = now + allowance_;
}

void Visit::on_shard_done(Moment now) {
  shard_.reset();
  begin(VisitEvent::shard_done, now, deadlines_.progress);
}

Visit::Agreement Visit::on_quiesced(std::uint32_t member, bool ok) {
  if (state_ != VisitState::closing) return Agreement::pending;
  if (!ok) return Agreement::abort;
  members_[member].done = true;
  return all_done() ? Agreement::orderly : Agreement::pending;
}

void Visit::on_aborting(Moment now, const std::string& reason) {
  forced_ = Verdict::aborted;
  reason_ = reason;
  shard_.reset();
  begin(VisitEvent::trouble, now, std::min(Moment(deadlines_.teardown), kAbortPatience));
}

bool Visit::on_gone(std::uint32_t member) {
  members_[member].here = false;
  if (state_ != VisitState::aborting || !all_done()) return false;
  go(VisitEvent::all_closed);
  return true;
}

bool Visit::on_closed(std::uint32_t member, const LedgerRow& row) {
  if (state_ != VisitState::tearing_down && state_ != VisitState::aborting) return false;
  if (!members_[member].row) members_[member].row = row;  // an abort that came too late is answered without numbers
  members_[member].done = true;
  if (!all_done()) return false;
  go(VisitEvent::all_closed);
  return true;
}

std::optional<Late> Visit::late(Moment now) const {
  if (suspended_ || state_ == VisitState::ended || (state_ == VisitState::serving && !shard_)) return std::nullopt;
  const bool all_wait =
      std::ranges::all_of(members_, [](const MemberState& m) { return m.waits || m.done || !m.here; });
  const auto awaited = [&](const MemberState& m) { return m.here && !m.done && (!m.waits || all_wait); };
  std::optional<std::uint64_t> fewest;  // units of a member past its deadline
  for (const MemberState& member : members_)
    if (awaited(member) && now >= member.due) fewest = std::min(fewest.value_or(member.units), member.units);
  if (!fewest) return std::nullopt;
  Late late{deadline_name(state_), {}, ""};
  for (std::uint32_t m = 0; m < members_.size(); ++m)  // one as far, due a moment later, may be the one that hangs
    if (awaited(members_[m]) && members_[m].units == *fewest) late.members.push_back(m);
  late.unit = members_[late.members.front()].unit;
  return late;
}

Verdict Visit::verdict(std::uint64_t tolerance_bytes, const std::set<std::string>& tolerated) const {
  if (forced_) return *forced_;
  for (std::uint32_t m = 0; m < size(); ++m)
    if (!row(m) || find_residue(known(m), tolerance_bytes, tolerated)) return Verdict::recycled;
  return Verdict::clean;
}

LedgerRow Visit::known(std::uint32_t member) const {
  LedgerRow row = members_[member].row.value_or(LedgerRow{});
  row.guest = by_ == By::guest;
  row.outside = members_[member].outside;
  return row;
}

}  // namespace proctor
