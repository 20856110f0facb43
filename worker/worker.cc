#include "worker/worker.h"

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "sharding/error.h"
#include "sharding/message.h"
#include "worker/gang.h"
#include "worker/host_memory.h"
#include "worker/teardown.h"

namespace proctor {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// Frames from the agent, read on a thread of their own so that the agent's death is seen while a batch runs.
class Inbox {
 public:
  explicit Inbox(Channel& channel) : thread_([this, &channel] { read(channel); }) { thread_.detach(); }

  WorkerOrder take() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [&] { return !frames_.empty(); });
    const std::string frame = std::move(frames_.front());
    frames_.pop_front();
    return decode_worker_order(frame);
  }

 private:
  void read(Channel& channel) {
    while (auto frame = channel.receive()) {
      const std::lock_guard lock(mutex_);
      frames_.push_back(std::move(*frame));
      filled_.notify_one();
    }
    _exit(0);  // the agent is gone: nobody would hear an answer
  }

  std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<std::string> frames_;
  std::thread thread_;
};

struct OpenVisitState {
  VisitId id;
  Gang gang;
  Baseline before;
  std::optional<BatchCleanup> cleanup;
  std::int64_t max_batch_tokens = 0;
  LedgerRow row;
};

class Worker {
 public:
  Worker(Channel& channel, Device& device) : channel_(channel), device_(device) {}

  void handle(const OpenVisit& order) {
    visit_.emplace();
    visit_->id = order.visit;
    visit_->before = measure_baseline(device_);
    visit_->max_batch_tokens = order.max_batch_tokens;
    visit_->cleanup.emplace(order.cleanup, device_);
    std::string failure, fault;
    const auto begin = Clock::now();
    try {
      if (order.gang_size != 1)
        throw EnvironmentError("tensor_parallel " + std::to_string(order.gang_size) + " is not built yet");
      visit_->gang.communicator = make_solo_communicator();
      visit_->gang.module = find_kind(order.module.kind).open(order.module, device_, announcer());
    } catch (const Error& error) {
      failure = error.what();
      fault = to_string(error.fault());
    } catch (const std::exception& error) {
      failure = error.what();
      fault = to_string(Fault::environment);
    }
    if (failure.empty()) {
      visit_->row.load_s = seconds_since(begin);
      visit_->row.bytes_read = visit_->gang.module->bytes_read();
      return report(VisitOpened{order.visit, visit_->row.load_s});
    }
    visit_.reset();
    report(OpenFailed{order.visit, fault, failure});
  }

  void handle(const RunShard& order) {
    if (!visit_ || visit_->id != order.visit) return;
    const auto begin = Clock::now();
    ShardFailed failed{order.visit, order.shard, order.attempt, false, ""};
    // Out of memory: once more after emptying the caches, outside the catch block, so that the exception holds nothing.
    for (int attempt = 0; attempt < 2; ++attempt) {
      const auto outcome = run_once(order, begin, failed);
      if (outcome) return report(*outcome);
      if (!failed.out_of_memory) break;
      visit_->cleanup->after_out_of_memory();
    }
    visit_->row.run_s += seconds_since(begin);
    report(failed);
  }

  void handle(const CloseVisit& order) {
    if (!visit_ || visit_->id != order.visit) return;
    visit_->row.tokens = visit_->gang.module->tokens_computed();
    visit_->row.batches = visit_->cleanup->batches();
    visit_->row.cleanups = visit_->cleanup->cleanups();
    visit_->row.cleanup_s = visit_->cleanup->seconds();
    tear_down(visit_->gang, device_, visit_->before, Clock::now() + std::chrono::hours(1), announcer(), visit_->row);
    VisitClosed closed{order.visit, visit_->row};
    visit_.reset();
    report(closed);
  }

  void handle(const Leave&) {}

 private:
  std::optional<ShardAnswered> run_once(const RunShard& order, Clock::time_point begin, ShardFailed& failed) {
    OpenModule& module = *visit_->gang.module;
    const std::uint64_t tokens = module.tokens_computed();
    const std::int64_t budget = order.max_batch_tokens > 0 ? order.max_batch_tokens : visit_->max_batch_tokens;
    try {
      std::vector<Response> responses = module.run(order.requests, budget, *visit_->cleanup, announcer());
      const double seconds = seconds_since(begin);
      visit_->row.run_s += seconds;
      return ShardAnswered{
          order.visit, order.shard, order.attempt, std::move(responses), module.tokens_computed() - tokens, seconds};
    } catch (const c10::OutOfMemoryError& error) {
      failed.out_of_memory = true;
      failed.message = error.what_without_backtrace();
    } catch (const std::exception& error) {
      failed.out_of_memory = false;
      failed.message = error.what();
    }
    return std::nullopt;
  }

  Announce announcer() {
    return [this](const std::string& unit) { report(Progress{visit_->id, unit, ++counter_}); };
  }

  void report(const WorkerReport& message) {
    if (!channel_.send(encode(message))) _exit(0);
  }

  Channel& channel_;
  Device& device_;
  std::optional<OpenVisitState> visit_;
  std::uint64_t counter_ = 0;
};

}  // namespace

int serve(Channel channel, const WorkerOptions& options) {
  Inbox inbox(channel);
  try {
    install_counting_allocator(options.memory_limit_bytes);
    DeviceFacts facts = probe(options.device);
    at::set_num_threads(options.cpu_threads);
    at::set_num_interop_threads(1);
    const auto device = make_device(facts.kind == "cpu" ? DeviceChoice::cpu : DeviceChoice::cuda, options.device_index);
    Worker worker(channel, *device);
    if (!channel.send(encode(WorkerReport(WorkerReady{getpid(), facts})))) return 0;
    for (;;) {
      const WorkerOrder order = inbox.take();
      if (std::holds_alternative<Leave>(order)) break;
      std::visit([&](const auto& body) { worker.handle(body); }, order);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "proctor-worker: %s\n", error.what());
    std::fflush(nullptr);
    _exit(1);
  }
  std::fflush(nullptr);
  _exit(0);  // the reader thread still holds the socket; nothing collective is left
}

}  // namespace proctor
