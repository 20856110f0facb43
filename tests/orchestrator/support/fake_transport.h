// Agents and workers in virtual time behind a Transport: nodes that say hello, workers that keep the protocol and
// answer after a while. What goes wrong is planted: silence, an answer that waits, a report that is not readable, an
// agent that does not leave.
#pragma once

#include <algorithm>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "orchestrator/ranks/transport.h"

namespace proctor {

class FakeTransport final : public Transport {
 public:
  struct Aborted {
    int code;
  };
  struct Node {
    std::uint32_t workers = 1;
    DeviceFacts facts;
    double silent_from = std::numeric_limits<double>::infinity(), silent_until = 0;
    bool leaves = true;
  };
  static constexpr double kTick = 0.05;  // seconds that pass where nothing comes

  /// Nodes with so many workers each.
  template <class... Workers>
  explicit FakeTransport(Workers... workers) {
    for (const int count : {workers...}) nodes_.emplace_back().workers = static_cast<std::uint32_t>(count);
  }
  Node& node(std::size_t n) { return nodes_[n]; }

  double now = 0;
  double answer_s = 0.1;                                         ///< of a shard
  std::function<std::vector<Response>(const RunShard&)> answer;  ///< of a shard's requests
  /// Sees each report before it is delivered; false: it is dropped.
  std::function<bool(AgentId, AgentReport&)> pass = [](AgentId, AgentReport&) { return true; };
  void say(double delay, AgentId agent, AgentReport report) {
    said_.push_back({now + delay, order_++, agent, std::move(report)});
  }
  std::map<std::string, int> sent;  ///< how often orders of each name were given

  std::uint32_t agents() const override { return static_cast<std::uint32_t>(nodes_.size()); }
  void send(AgentId agent, const AgentOrder& order) override {
    std::visit([&](const auto& body) { on(agent, body); }, order);
  }
  std::vector<Received> receive() override {
    beat();
    std::ranges::move(std::exchange(said_, {}), std::back_inserter(pending_));
    std::ranges::sort(pending_, {}, [](const Pending& p) { return std::pair(p.at, p.order); });
    std::vector<Received> came;
    std::erase_if(pending_, [&](Pending& one) {
      const Node& node = nodes_[one.agent.value];
      const bool silent = now >= node.silent_from && now < node.silent_until;
      if (one.at > now || silent) return false;
      if (pass(one.agent, one.report)) came.push_back({one.agent, std::move(one.report)});
      return true;
    });
    if (!came.empty()) return came;
    now += kTick;
    // A day of this clock passes in an instant: the threads that store and score get theirs meanwhile.
    std::this_thread::yield();
    return came;
  }
  std::vector<FromWorker> take_progress() override { return {}; }
  bool all_sent() override { return true; }
  void abort(int code) override { throw Aborted{code}; }

 private:
  struct Pending {
    double at;
    std::uint64_t order;
    AgentId agent;
    AgentReport report;
  };

  void beat() {
    if (now < next_beat_) return;
    next_beat_ = now + 0.5;
    for (std::uint32_t agent = 1; agent < nodes_.size(); ++agent) say(0, AgentId{agent}, Heartbeat{});
  }
  void on(AgentId agent, const Configure&) {
    ++sent["configure"];
    const Node& node = nodes_[agent.value];
    say(0, agent, AgentHello{"node" + std::to_string(agent.value), node.workers, node.facts});
  }
  void on(AgentId agent, const StartWorker& order) {
    ++sent["start"];
    incarnation_[{agent, order.slot}] = order.incarnation;
    report({agent, order.slot}, 0.01, WorkerReady{});
  }
  void on(AgentId agent, const KillWorker& order) {
    ++sent["kill"];
    say(0.01, agent, WorkerExited{order.slot, incarnation_[{agent, order.slot}], EndedBy::order, "signal 9 (Killed)"});
  }
  void on(AgentId agent, const ToWorkers& order) {
    const WorkerOrder body = decode_worker_order(order.frame);
    for (std::uint32_t slot : order.slots) std::visit([&](const auto& one) { on_worker({agent, slot}, one); }, body);
  }
  void on(AgentId, const ShareMemory&) { ++sent["share memory"]; }
  void on(AgentId agent, const LeaveNode& order) {
    ++sent[order.at_once ? "leave at once" : "leave"];
    if (nodes_[agent.value].leaves) say(0.01, agent, AgentLeft{});
  }
  void on(AgentId, const OrchestratorBeat&) { ++sent["beat"]; }

  void report(SlotId slot, double delay, const WorkerReport& body) {
    say(delay, slot.agent, FromWorker{slot.slot, incarnation_[slot], encode(body)});
  }
  void on_worker(SlotId slot, const OpenVisit& order) {
    rank_[slot] = order.gang_rank;
    report(slot, 0.01, VisitOpened{order.visit, 0.01});
  }
  void on_worker(SlotId slot, const RunShard& order) {
    RunShard run = order;
    if (run.requests.empty()) run.requests = ahead_[slot];
    ahead_[slot] = order.next;
    if (rank_[slot] == 0)
      report(slot, answer_s, ShardAnswered{run.visit, run.shard, run.attempt, answer(run), 1, answer_s});
  }
  void on_worker(SlotId slot, const CloseVisit& order) { report(slot, 0.01, Quiesced{order.visit, true, ""}); }
  void on_worker(SlotId slot, const TearDown& order) { report(slot, 0.01, VisitClosed{order.visit, {}}); }
  void on_worker(SlotId slot, const AbortVisit& order) { report(slot, 0.01, VisitClosed{order.visit, {}}); }
  void on_worker(SlotId, const GangMemory&) {}
  void on_worker(SlotId, const JoinGang&) {}
  void on_worker(SlotId, const Leave&) {}

  std::vector<Node> nodes_;
  std::vector<Pending> said_, pending_;  // said_: since the last look, also while one looks
  std::uint64_t order_ = 0;
  double next_beat_ = 0;
  std::map<SlotId, std::uint32_t> incarnation_, rank_;
  std::map<SlotId, std::vector<Request>> ahead_;
};

}  // namespace proctor
