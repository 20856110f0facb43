#include "worker/visit/worker.h"

#include <ATen/Parallel.h>
#include <ATen/ops/ones.h>
#include <unistd.h>

#include <cstdio>
#include <optional>

#include "sharding/protocol/error.h"
#include "sharding/protocol/message.h"
#include "worker/checkpoint/folder_hash.h"
#include "worker/checkpoint/safetensors.h"
#include "worker/communicator/communicator_nccl.h"
#include "worker/device/host_memory.h"
#include "worker/visit/error_message.h"
#include "worker/visit/fault_hook.h"
#include "worker/visit/gang.h"
#include "worker/visit/inbox.h"
#include "worker/visit/lockstep.h"
#include "worker/visit/teardown.h"

namespace proctor {
namespace {

/// The visit was aborted while a unit of it was about to begin. Not a std::exception: only the loop catches it.
struct VisitAborted {};

/// What came with a shard of the one that probably follows.
struct SentAhead {
  std::optional<ShardId> shard;
  std::vector<Request> requests;
};

struct OpenVisitState {
  OpenVisit order;
  MeetingPlace place;
  Gang gang;
  std::optional<BatchCleanup> cleanup;
  std::uint64_t units = 0;  // announced
  ProgressUnit batch{""};   // that is under way
  SentAhead ahead;
  LedgerRow row;
};

/// Nodes may have folders of their own under one path.
void refuse_another_version(const OpenVisit& order) {
  const std::string& path = order.module.path;
  if (order.folder_hash.empty() || folder_hash(path, Checkpoint(path), HashOf::beginnings) == order.folder_hash) return;
  throw InputError(path +
                   ": is not what the run began with (configuration, tokenizer or weights differ from those on "
                   "rank 0's node, or were changed since); give every node the same files");
}

class Worker {
 public:
  Worker(Channel& channel, Device& device, Inbox& inbox, AbortSwitch& abort_switch)
      : channel_(channel), device_(device), inbox_(inbox), abort_switch_(abort_switch) {}

  /// Its descriptor waits in the inbox for OpenVisit.
  void handle(const GangMemory&) {}

  void handle(const OpenVisit& order) {
    if (!warmed_up_) baseline_ = measure_baseline(device_, false);
    device_.reset_peak();
    visit_.emplace();
    visit_->order = order;
    visit_->place.rank = order.gang_rank;
    visit_->place.size = order.gang_size;
    visit_->cleanup.emplace(order.cleanup, device_);
    abort_switch_.arm(order.visit);
    if (order.gang_size == 1 || device_.torch().is_cpu()) {
      if (order.gang_size > 1) visit_->place.memory = inbox_.take_memory();
      return load();
    }
    if (order.gang_rank > 0) return;  // JoinGang says where
    try {
      report(GangAddress{order.visit, make_nccl_address(nccl_library())});
    } catch (const std::exception& error) {
      report(OpenFailed{order.visit, to_string(Fault::environment), message_of(error)});
    }
  }

  void handle(const JoinGang& order) {
    if (!has(order.visit)) return;
    visit_->place.address = order.address;
    load();
  }

  void handle(RunShard& order) {
    if (!has(order.visit) || !visit_->gang.module) return;
    if (order.requests.empty() && visit_->ahead.shard == order.shard)
      order.requests = std::move(visit_->ahead.requests);
    visit_->ahead = {order.next_shard, order.next};
    const auto begin = Clock::now();
    const std::uint64_t tokens = visit_->gang.module->computed().tokens;
    // The orchestrator's watchdog names who is late after one unit; this is for when nobody listens any more.
    visit_->gang.communicator->wait_at_most(std::chrono::duration<double>(2 * order.unit_s));
    const std::int64_t budget = order.max_batch_tokens > 0 ? order.max_batch_tokens : visit_->order.max_batch_tokens;
    const ShardRun shard{order.requests, budget,      order.isolated,  order.set_aside,
                         order.next,     order.image, order.next_image};
    faults_.begin_shard(order.requests);
    visit_->batch = ProgressUnit("");
    StepOutcome outcome =
        run_step(*visit_->gang.module, *visit_->gang.communicator, device_, shard, *visit_->cleanup, announcer());
    const double seconds = seconds_since(begin);
    visit_->row.run_s += seconds;
    if (outcome.gang == StepEnd::done) {
      if (visit_->place.rank == 0)
        report(ShardAnswered{order.visit, order.shard, order.attempt, std::move(outcome.responses),
                             visit_->gang.module->computed().tokens - tokens, seconds});
      return;
    }
    if (outcome.mine == StepEnd::done && !outcome.gang_broken) return;  // who failed says so
    report(ShardFailed{order.visit, order.shard, order.attempt, outcome.gang == StepEnd::out_of_memory,
                       outcome.gang_broken, outcome.message});
    if (!device_.healthy()) leave("the device is lost");
  }

  void handle(const CloseVisit& order) {
    if (!has(order.visit)) return;
    std::string trouble;
    try {
      announce("teardown synchronize");
      trouble = quiesce(visit_->gang, device_);
    } catch (const std::exception& error) {
      trouble = message_of(error);
    }
    report(Quiesced{order.visit, trouble.empty(), trouble});
  }

  void handle(const TearDown& order) {
    if (!has(order.visit)) return;
    time_products();
    end_visit(Path::orderly, announcer());
    if (!warmed_up_) baseline_ = measure_baseline(device_, true);
    warmed_up_ = true;
  }

  void handle(const AbortVisit& order) {
    if (!has(order.visit)) return report(VisitClosed{order.visit, {}});
    std::fprintf(stderr, "proctor-worker: visit %u is aborted: %s\n", order.visit.value, order.reason.c_str());
    end_visit(Path::abort, [this](const ProgressUnit& unit) { progress(unit); });
  }

  void handle(const Leave&) {}

 private:
  bool has(VisitId visit) const { return visit_ && visit_->order.visit == visit; }

  /// Forms the gang, then loads: communicators come before weights.
  void load() {
    const OpenVisit& order = visit_->order;
    const auto begin = Clock::now();
    std::string failure, fault;
    try {
      visit_->gang.communicator = make_communicator(visit_->place, device_);
      visit_->place.memory = Descriptor();  // mapped
      Communicator& communicator = *visit_->gang.communicator;
      communicator.on_long_wait([this] { report(Waiting{visit_->order.visit}); });
      abort_switch_.arm(order.visit, visit_->gang.communicator);
      announce("form gang");
      communicator.join(after(2 * order.deadlines.load));
      communicator.wait_at_most(2 * order.deadlines.progress);
      refuse_another_version(order);
      visit_->gang.module = find_kind(order.module.kind).open(order.module, device_, communicator, announcer());
    } catch (const Error& error) {
      failure = error.what();
      fault = to_string(error.fault());
    } catch (const std::exception& error) {
      failure = message_of(error);
      fault = to_string(Fault::environment);
    }
    if (!failure.empty()) return report(OpenFailed{order.visit, fault, failure});
    visit_->row.load_s = seconds_since(begin);
    visit_->row.bytes_read = visit_->gang.module->bytes_read();
    report(VisitOpened{order.visit, visit_->row.load_s});
  }

  /// For the ledger only: a failure is none of the visit's.
  void time_products() {
    if (!visit_->gang.module) return;
    announce("time products");
    try {
      visit_->row.products_s = visit_->gang.module->seconds_of_products();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "proctor-worker: products are not timed: %s\n", message_of(error).c_str());
    }
  }

  void end_visit(Path path, const Announce& announce_step) {
    const Gang& gang = visit_->gang;
    if (gang.module) {
      const Computed computed = gang.module->computed();
      visit_->row.tokens = computed.tokens;
      visit_->row.flops = computed.flops;
      visit_->row.tokenize_s = computed.tokenize_s;
      visit_->row.images = computed.images;
      visit_->row.patches = computed.patches;
      visit_->row.vision_s = computed.vision_s;
    }
    visit_->row.batches = visit_->cleanup->batches();
    visit_->row.cleanups = visit_->cleanup->cleanups();
    visit_->row.cleanup_s = visit_->cleanup->seconds();
    const auto limit = visit_->order.deadlines.teardown;
    TornDown down = tear_down(visit_->gang, device_, baseline_, path,
                              path == Path::abort ? std::min(limit, kAbortPatience) : limit, announce_step);
    visit_->row.set(std::move(down.measures));
    report(VisitClosed{visit_->order.visit, visit_->row});
    if (down.aftermath == Aftermath::leave) leave("a communicator or the device cannot be ended");
    visit_.reset();
  }

  [[noreturn]] void leave(const char* why) {
    std::fprintf(stderr, "proctor-worker: %s; this process ends\n", why);
    std::fflush(nullptr);
    _exit(1);
  }

  Announce announcer() {
    return [this](const ProgressUnit& unit) { announce(unit); };
  }

  /// Begins a unit, unless the visit was aborted meanwhile.
  void announce(const ProgressUnit& unit) {
    if (abort_switch_.pulled(visit_->order.visit)) throw VisitAborted();
    progress(unit);
    faults_.at(unit, visit_->batch, visit_->place.rank, visit_->order.module.name);
  }
  /// Each tells of the batch it is in, since only the latest of many reaches the orchestrator.
  void progress(const ProgressUnit& unit) {
    if (unit.batch) visit_->batch = unit;
    const ProgressUnit& batch = visit_->batch;
    report(Progress{visit_->order.visit, unit.text, ++visit_->units, batch.batch ? std::int64_t{*batch.batch} : -1,
                    batch.requests.size() == 1 ? std::int64_t{batch.requests.front()} : -1});
  }

  void report(const WorkerReport& message) {
    if (!channel_.send(encode(message))) _exit(0);
  }

  static constexpr Deadlines::Seconds kAbortPatience{10};  // as long as the orchestrator waits for an answer

  Channel& channel_;
  Device& device_;
  Inbox& inbox_;
  AbortSwitch& abort_switch_;
  FaultHook faults_ = FaultHook::from_environment();
  std::optional<OpenVisitState> visit_;
  Baseline baseline_;
  bool warmed_up_ = false;
};

/// Many enough for an operator to use all threads.
constexpr std::int64_t kParallelElements = 1 << 20;

}  // namespace

int serve(Channel channel, const WorkerOptions& options) {
  AbortSwitch abort_switch;
  Inbox inbox(channel, abort_switch);
  try {
    keep_freed_memory();
    install_counting_allocator(0);
    DeviceFacts facts = probe(options.device);
    at::set_num_threads(options.cpu_threads);
    at::set_num_interop_threads(1);
    (void)at::ones({kParallelElements});  // starts LibTorch's thread pool, whose threads are no module's
    install_counting_allocator(options.memory_limit_bytes);
    const auto device = make_device(facts.kind == "cpu" ? DeviceChoice::cpu : DeviceChoice::cuda, options.device_index);
    Worker worker(channel, *device, inbox, abort_switch);
    if (!channel.send(encode(WorkerReport(WorkerReady{getpid(), facts})))) return 0;
    for (;;) {
      WorkerOrder order = inbox.take();
      if (std::holds_alternative<Leave>(order)) break;
      try {
        std::visit([&](auto& body) { worker.handle(body); }, order);
      } catch (const VisitAborted&) {  // the order to abort is in the inbox
      }
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
