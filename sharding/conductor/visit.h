// One stay of a module on a gang: opening -> serving -> closing (members synchronise and say how they are) -> tearing
// down (all are well) -> ended; or, from anywhere, aborting -> ended. A deadline on every wait, by announced unit and
// member; a measured verdict. Pure; the conductor feeds it and carries out what it says. docs/teardown.md draws it.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sharding/conductor/attempts.h"
#include "sharding/conductor/roster.h"
#include "sharding/protocol/ids.h"
#include "sharding/protocol/ledger.h"
#include "sharding/protocol/message.h"

namespace proctor {

enum class VisitState { opening, serving, closing, tearing_down, aborting, ended };
enum class VisitEvent { all_opened, shard_given, shard_done, no_more_shards, all_well, trouble, all_closed };
std::string to_string(VisitState state);
std::string to_string(VisitEvent event);  ///< in words

/// Every way from one state to another; there is no other. docs/teardown.md shows them, and a test compares.
struct VisitTransition {
  VisitState from;
  VisitEvent event;
  VisitState to;
};
std::span<const VisitTransition> visit_transitions();
/// What a member left behind.
struct Residue {
  std::string counter;  ///< the ledger field that tells
  std::string text;     ///< "4096 allocated bytes more than before"
  bool exact = false;   ///< a leak beyond doubt; the others are caches, within the tolerance
};

/// The first thing that makes a member's row unclean, or nullopt: exact for allocated bytes, communicators, graphs and
/// modules; within the tolerance for reserved and device-free bytes; descriptors and threads as in the baseline. Those
/// four are compared once the process has warmed up, and not where `tolerated` names them.
/// A guest is judged by what its agent saw: processes and entries of /dev/shm that were left; its device's bytes, and
/// those of its memory, within a tolerance, once it has warmed up.
std::optional<Residue> find_residue(const LedgerRow& row, std::uint64_t tolerance_bytes,
                                    const std::set<std::string>& tolerated = {});

/// Who is being waited for in vain.
struct Late {
  std::string what;                    ///< the deadline: load, progress, teardown, abort
  std::vector<std::uint32_t> members;  ///< of those past it that wait for no other, the furthest behind
  std::string unit;                    ///< what the first of them announced last
};

/// A member's place: the slot, and which start of its worker.
struct Member {
  SlotId slot;
  std::uint32_t incarnation = 0;
};

class Visit {
 public:
  enum class By { worker, guest };
  Visit(VisitId id, ModuleId module, std::span<const Member> members, Moment now, const Deadlines& deadlines,
        By by = By::worker);

  VisitId id() const { return id_; }
  ModuleId module() const { return module_; }
  VisitState state() const { return state_; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(members_.size()); }
  std::vector<SlotId> slots() const;
  SlotId slot(std::uint32_t member) const { return members_[member].member.slot; }
  std::uint32_t incarnation(std::uint32_t member) const { return members_[member].member.incarnation; }
  const std::optional<LedgerRow>& row(std::uint32_t member) const { return members_[member].row; }
  /// What is known of the member: nothing inside a guest, and what its agent saw.
  LedgerRow known(std::uint32_t member) const;
  void on_measured(std::uint32_t member, OutsideMeasures measures) { members_[member].outside = std::move(measures); }
  /// False once its process was replaced or died; its slot may then serve elsewhere.
  bool here(std::uint32_t member) const { return members_[member].here; }
  /// The member in this slot, if it is here.
  std::optional<std::uint32_t> member(SlotId slot) const;
  std::optional<ShardId> shard() const { return shard_; }
  std::uint32_t attempt() const { return attempt_; }

  bool was_opened() const { return was_opened_; }
  /// True when the last member has opened: the gang serves.
  bool on_opened(std::uint32_t member, Moment now);
  /// `expected`: estimated seconds of the whole shard; units of it may take 20 times that. Returns what one may take.
  Moment on_shard(ShardId shard, std::uint32_t attempt, Moment now, Moment expected = Moment(0));
  /// A member announced its `counter`th unit.
  void on_progress(std::uint32_t member, const Progress& progress, Moment now);
  /// Where the member is in its shard.
  const BatchPlace& place(std::uint32_t member) const { return members_[member].place; }
  /// It waits for another member in a collective, until it announces its next unit.
  void on_waiting(std::uint32_t member) { members_[member].waits = true; }
  void on_shard_done(Moment now);
  void on_closing(Moment now) { begin(VisitEvent::no_more_shards, now, deadlines_.teardown); }
  enum class Agreement { pending, orderly, abort };
  /// Orderly when the last member said that it is well; abort at the first that is not.
  Agreement on_quiesced(std::uint32_t member, bool ok);
  void on_tearing_down(Moment now) { begin(VisitEvent::all_well, now, deadlines_.teardown); }
  void on_aborting(Moment now, const std::string& reason);
  /// The member died or was killed: nothing is expected of it. True when this ends an aborted visit.
  bool on_gone(std::uint32_t member);
  /// True when the last member has closed: the visit ended.
  bool on_closed(std::uint32_t member, const LedgerRow& row);
  /// Ends an orderly visit with fresh workers although nothing was left behind.
  void recycle(const std::string& reason) {
    forced_ = Verdict::recycled;
    reason_ = reason;
  }

  /// Its node is silent: nobody waits for it, and its shard is run elsewhere. Until it is heard again.
  void suspend() { suspended_ = true; }
  void resume(Moment now);
  bool suspended() const { return suspended_; }

  std::optional<Late> late(Moment now) const;
  Verdict verdict(std::uint64_t tolerance_bytes, const std::set<std::string>& tolerated = {}) const;
  /// Why it was aborted or is to be recycled; "" otherwise.
  const std::string& reason() const { return reason_; }
  bool aborted() const { return forced_ == Verdict::aborted; }
  /// Every answer is in, and it is being closed.
  bool closing() const { return state_ == VisitState::closing || state_ == VisitState::tearing_down; }

 private:
  struct MemberState {
    Member member;
    bool here = true, done = false;  // done: with what the state waits for
    bool waits = false;              // for another member
    std::uint64_t units = 0;         // announced so far
    std::string unit = "nothing yet";
    BatchPlace place;
    Moment due{0};
    std::optional<LedgerRow> row;
    std::optional<OutsideMeasures> outside;
  };
  void go(VisitEvent event);
  void begin(VisitEvent event, Moment now, Moment allowance);
  void wait_for_members(Moment now, Moment allowance);
  bool all_done() const;

  VisitId id_;
  ModuleId module_;
  std::vector<MemberState> members_;
  Deadlines deadlines_;
  By by_;
  VisitState state_ = VisitState::opening;
  Moment allowance_;  // how long one unit may take
  std::optional<ShardId> shard_;
  std::uint32_t attempt_ = 0;
  bool was_opened_ = false;
  bool suspended_ = false;
  std::optional<Verdict> forced_;  // whatever is measured
  std::string reason_;             // of forced_
};

}  // namespace proctor
