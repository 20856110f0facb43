#include "sharding/conductor/conductor.h"

#include <algorithm>
#include <utility>

#include "sharding/protocol/error.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {
constexpr Moment kStartDeadline{60};
}  // namespace

Conductor::Conductor(Options options, std::vector<ModuleOutlook> modules, std::vector<Shard> shards, Executor& executor)
    : options_(std::move(options)),
      executor_(executor),
      modules_(std::move(modules)),
      shards_(std::move(shards)),
      schedule_(modules_, shards_),
      roster_(kStartDeadline, options_.deadlines.load),
      attempts_(shards_.size()),
      state_(shards_.size(), ShardState::waiting),
      holder_(shards_.size()),
      outside_kills_(modules_.size()),
      unanswered_(modules_.size(), 0),
      unstored_(shards_.size()),
      next_visit_(options_.first_visit.value) {
  for (const Shard& shard : shards_) ++unanswered_[shard.module.value];
}

void Conductor::add(std::span<const Shard> shards) {
  shards_.insert(shards_.end(), shards.begin(), shards.end());
  schedule_.add(shards);
  attempts_.add(shards.size());
  state_.resize(shards_.size(), ShardState::waiting);
  holder_.resize(shards_.size());
  unstored_ += shards.size();
  for (const Shard& shard : shards) ++unanswered_[shard.module.value];
  reconsider_ = true;
}

void Conductor::restore_answered(ShardId shard) {
  PROCTOR_CHECK(state_[shard.value] == ShardState::waiting, "a shard is restored once, before it is handed out");
  state_[shard.value] = ShardState::stored;
  schedule_.withdraw(shard);
  --unanswered_[shards_[shard.value].module.value];
  --unstored_;
}

void Conductor::on_report(SlotId slot, std::uint32_t incarnation, WorkerReport report, Moment now) {
  on_heard(slot.agent, now);
  if (roster_.at(slot).incarnation != incarnation) return;  // from a worker that has been replaced
  if (std::holds_alternative<WorkerReady>(report)) {
    if (roster_.at(slot).state == SlotState::starting) on_ready(slot, now);
  } else {
    Visit* visit = visit_of(slot);
    std::visit(
        [&](auto& body) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(body)>, WorkerReady>)
            if (visit && visit->id() == body.visit) handle(slot, *visit, body, now);
        },
        report);
  }
  assign(now);
}

void Conductor::handle(SlotId slot, Visit& visit, const Progress& report, Moment now) {
  visit.on_progress(*visit.member(slot), report, now);
}

void Conductor::handle(SlotId, Visit& visit, const GangAddress& report, Moment) {
  if (visit.state() != VisitState::opening) return;
  for (std::uint32_t m = 0; m < visit.size(); ++m) executor_.join(visit.slot(m), visit.id(), report.address);
}

void Conductor::handle(SlotId slot, Visit& visit, const VisitOpened& report, Moment now) {
  if (!visit.on_opened(*visit.member(slot), now)) return;
  forget_failed_loads(visit);
  outside_kills_[visit.module().value] = {};
  schedule_.on_loaded(visit.module(), report.load_s);
  hungry_.insert(visit.id());
}

/// An answer counts if its shard is open and it has the bytes of the shard's present overrides, whichever attempt it
/// is.
void Conductor::handle(SlotId slot, Visit& visit, ShardAnswered& report, Moment now) {
  if (visit.shard() != report.shard || visit.attempt() != report.attempt) {
    if (is_guest(visit.module()) &&
        visit.state() != VisitState::aborting)  // it has one shard at a time, so nothing of it can be late
      abort(visit.id(),
            name_of(slot) + " answered shard " + std::to_string(report.shard.value) + ", which it was not asked for",
            visit.member(slot), now);
    return;
  }
  const Shard& shard = shards_[report.shard.value];
  if (report.responses.size() != shard.requests.size()) {
    const std::string reason = "shard " + std::to_string(report.shard.value) + ": " +
                               std::to_string(report.responses.size()) + " answers for " +
                               counted(shard.requests.size(), "request");
    return abort(visit.id(), reason, visit.member(slot), now);
  }
  visit.on_shard_done(now);
  hungry_.insert(visit.id());
  if (state_[report.shard.value] >= ShardState::answered || !attempts_.current(report.shard, report.attempt)) return;
  schedule_.withdraw(report.shard);
  schedule_.on_ran(report.shard, report.seconds);
  for (const auto& [request, why] : attempts_.overrides(report.shard).excluded) report.responses[request] = {{}, why};
  state_[report.shard.value] = ShardState::answered;
  if (--unanswered_[shard.module.value] == 0) reconsider_ = true;
  executor_.store(report.shard, std::move(report.responses));
}

void Conductor::handle(SlotId slot, Visit& visit, const Quiesced& report, Moment now) {
  switch (visit.on_quiesced(*visit.member(slot), report.ok)) {
    case Visit::Agreement::pending:
      return;
    case Visit::Agreement::abort:
      return abort(visit.id(), name_of(slot) + " is not fit for an orderly teardown: " + report.message, std::nullopt,
                   now);
    case Visit::Agreement::orderly:
      break;
  }
  visit.on_tearing_down(now);
  executor_.tear_down(visit.slots(), visit.id());
}

void Conductor::handle(SlotId slot, Visit& visit, const VisitClosed& report, Moment now) {
  if (!visit.on_closed(*visit.member(slot), report.row)) return;
  if (visit.aborted())
    end_aborted(visit.id(), now);
  else
    end(visit.id(), now);
}

void Conductor::on_stored(ShardId shard, Moment now) {
  PROCTOR_CHECK(state_[shard.value] == ShardState::answered, "only an answered shard is stored, once");
  state_[shard.value] = ShardState::stored;
  --unstored_;
  assign(now);
}

void Conductor::on_tick(Moment now) {
  for (AgentId agent : roster_.take_silent(options_.deadlines.agent, now)) suspect(agent, now);
  std::vector<std::pair<VisitId, Late>> late;
  for (const auto& [id, visit] : visits_)
    if (auto found = visit.late(now)) late.emplace_back(id, std::move(*found));
  for (const auto& [id, found] : late) on_late(id, found, now);
  for (SlotId slot : roster_.too_late_to_start(now)) {
    executor_.kill(slot);
    start_failed(slot, "did not start in time", now);
  }
  for (auto next = failed_loads_.begin(); next != failed_loads_.end();)
    (void)give_up_without_a_node((next++)->first);  // which may forget it
  start_due(now);
  reconsider_ = true;
  assign(now);
}

void Conductor::start_due(Moment now) {
  if (over()) return;
  for (SlotId slot : roster_.take_due(now))
    executor_.start(slot, roster_.at(slot).incarnation, roster_.at(slot).occupant);
}

bool Conductor::over() const {
  return (unstored_ == 0 || draining_) &&
         std::ranges::all_of(visits_, [](const auto& entry) { return entry.second.suspended(); });
}

const Visit* Conductor::visit_of(SlotId slot) const {
  const auto latest = latest_visit_.find(slot);
  const auto found = latest == latest_visit_.end() ? visits_.end() : visits_.find(latest->second);
  return found != visits_.end() && found->second.member(slot) ? &found->second : nullptr;
}

/// Its shard is not, meanwhile, run by another gang or answered.
bool Conductor::holds_shard(const Visit& visit) const {
  const auto shard = visit.shard();
  return shard && state_[shard->value] == ShardState::running && holder_[shard->value] == visit.id();
}

void Conductor::assign(Moment now) {
  if (std::exchange(reconsider_, false)) hungry_.merge(idle_);
  while (!hungry_.empty()) {
    const auto found = visits_.find(hungry_.extract(hungry_.begin()).value());
    if (found == visits_.end()) continue;
    Visit& visit = found->second;
    if (visit.state() == VisitState::serving && !visit.shard() && !visit.suspended()) feed(visit, now);
  }
  while (open_one(now)) {
  }
}

void Conductor::feed(Visit& visit, Moment now) {
  const auto elsewhere_first = [&](ShardId shard) {
    if (attempts_.strikes(shard) == 0) return false;
    for (std::uint32_t m = 0; m < visit.size(); ++m)
      if (attempts_.struck_on(shard, visit.slot(m))) return true;
    return false;
  };
  const auto shard = draining_ ? std::nullopt : schedule_.take(visit.module(), elsewhere_first);
  if (!shard) {
    if (draining_ || needed_elsewhere(visit))
      close(visit, now);
    else
      idle_.insert(visit.id());
    return;
  }
  state_[shard->value] = ShardState::running;
  holder_[shard->value] = visit.id();
  const std::uint32_t attempt = attempts_.begin(*shard);
  const Moment unit = visit.on_shard(*shard, attempt, now, expected_seconds(*shard));
  const Assignment assignment{
      visit.id(), *shard, attempt, attempts_.overrides(*shard), unit, schedule_.upcoming(visit.module())};
  executor_.assign(visit.slots(), assignment);
}

/// Where a gang that had loaded its module is gone, that node may be asked for it again.
void Conductor::gang_gone(const Visit& visit) {
  schedule_.on_gang_gone(visit.module());
  if (visit.was_opened()) forget_failed_loads(visit);
  reconsider_ = true;
}

/// A gang without shards keeps its module only while a lost shard of it might come back, or more are expected, and
/// nobody else wants it.
bool Conductor::needed_elsewhere(const Visit& visit) const {
  if (unanswered_[visit.module().value] == 0 && !schedule_.expects_more(visit.module())) return true;
  return schedule_.choose(visit.module(), [](ModuleId) { return true; }).has_value();
}

void Conductor::close(Visit& visit, Moment now) {
  visit.on_closing(now);
  executor_.close(visit.slots(), visit.id());
}

void Conductor::end(VisitId id, Moment now) {
  Visit visit = std::move(visits_.at(id));
  visits_.erase(id);
  unpark(id, now);
  if (!visit.suspended()) gang_gone(visit);
  const Verdict verdict = visit.verdict(options_.leak_tolerance_bytes, tolerated_);
  std::set<std::string> unclean;
  for (std::uint32_t m = 0; m < visit.size(); ++m) unclean.insert(end_member(visit, m, verdict, now));
  unclean.erase("");
  tolerate(unclean);
}

void Conductor::record(const Visit& visit, std::uint32_t member, Verdict verdict, const std::string& reason) {
  LedgerEntry entry{visit.module(), visit.id(), visit.slot(member), visit.incarnation(member), member, visit.size(),
                    verdict,        reason,     visit.known(member)};
  if (entry.row.guest && !entry.row.outside && !roster_.suspect(entry.slot.agent))
    unmeasured_.push_back(std::move(entry));
  else
    executor_.record(entry);
}

/// Records the member's row and frees or replaces its worker. Returns the cache counter that was unclean, or "".
std::string Conductor::end_member(Visit& visit, std::uint32_t member, Verdict verdict, Moment now) {
  const SlotId slot = visit.slot(member);
  const LedgerRow row = visit.known(member);
  const auto found = find_residue(row, options_.leak_tolerance_bytes, tolerated_);
  std::string why = found ? found->text : visit.reason();
  if (verdict == Verdict::recycled && why.empty()) why = "another member's device is unclean";
  record(visit, member, verdict, why);
  if (verdict == Verdict::clean) {
    roster_.on_free(slot);
    return "";
  }
  if (visit.reason().empty())
    executor_.warn(name_of(visit) + " left its device unclean (" + why + "); the worker is replaced");
  kill(visit, member, now);
  return found && !found->exact ? found->counter : "";
}

Moment Conductor::expected_seconds(ShardId shard) const {
  const Shard& planned = shards_[shard.value];
  return Moment(planned.flops * modules_[planned.module.value].seconds_per_flop);
}

}  // namespace proctor
