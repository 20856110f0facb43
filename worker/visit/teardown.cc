#include "worker/visit/teardown.h"

#include <algorithm>
#include <future>
#include <iterator>
#include <thread>

#include "worker/visit/error_message.h"

namespace proctor {
namespace {

void measure(Device& device, const Baseline& before, TeardownMeasures& row) {
  const DeviceMemory memory = device.memory();
  const ProcessCounters process = process_counters();
  row.allocated_before = before.memory.allocated_bytes;
  row.allocated_peak = memory.peak_bytes;
  row.allocated_after = memory.allocated_bytes;
  row.reserved_before = before.memory.reserved_bytes;
  row.reserved_peak = memory.reserved_peak_bytes;
  row.reserved_after = memory.reserved_bytes;
  const bool own_memory = !device.torch().is_cpu();  // a CPU's free memory is the whole node's: others move it
  row.device_free_before = own_memory ? before.memory.free_bytes : 0;
  row.device_free_after = own_memory ? memory.free_bytes : 0;
  row.resident_before = before.process.resident_bytes;
  row.resident_after = process.resident_bytes;
  row.file_descriptors_before = before.process.file_descriptors;
  row.file_descriptors = process.file_descriptors;
  row.threads_before = before.process.threads;
  row.threads = process.threads;
  std::vector<std::string> fresh;
  std::ranges::set_difference(process.thread_names, before.process.thread_names, std::back_inserter(fresh));
  for (const std::string& name : fresh) row.new_threads += (row.new_threads.empty() ? "" : ", ") + name;
  row.mappings = process.mappings;
  row.warmed_up = before.warmed_up;
}

/// On a thread of its own, since it may never return. True if it did in time.
bool abort_communicator(const std::shared_ptr<Communicator>& communicator, Deadline deadline) {
  auto done = std::make_shared<std::promise<void>>();
  std::future<void> joined = done->get_future();
  std::thread([communicator, done] {
    communicator->abort();
    done->set_value();
  }).detach();
  return joined.wait_until(deadline) == std::future_status::ready;
}

/// False: the process has to leave. Graphs first: a communicator is never gone while a graph that captured its
/// collectives is alive. An orderly end that came to an abort keeps the communicator, so that the row counts it as
/// left.
bool end_communicator(Gang& gang, Path path, std::uint64_t graphs, std::chrono::duration<double> patience) {
  if (!gang.communicator) return true;
  if (graphs > 0) return false;
  if (path == Path::orderly && gang.communicator->close(after(patience))) {
    gang.communicator.reset();
    return true;
  }
  if (!abort_communicator(gang.communicator, after(patience))) return false;
  if (path == Path::abort) gang.communicator.reset();
  return true;
}

}  // namespace

Baseline measure_baseline(Device& device, bool warmed_up) { return {device.memory(), process_counters(), warmed_up}; }

std::string quiesce(const Gang& gang, Device& device) {
  if (!gang.communicator || !gang.module) return "the module is not open";
  try {
    device.synchronize();
    return gang.communicator->error();
  } catch (const std::exception& error) {
    return message_of(error);
  }
}

TornDown tear_down(Gang& gang, Device& device, const Baseline& before, Path path,
                   std::chrono::duration<double> step_limit, const Announce& announce) {
  TornDown down;
  TeardownMeasures& row = down.measures;
  const auto begin = Clock::now();
  const auto step = [&](const char* name, auto&& act) {
    announce(std::string("teardown ") + name);
    const auto started = Clock::now();
    act();
    row.steps[name] = seconds_since(started);
  };
  bool ended = false;
  step("drop_batches", [&] {
    if (gang.module) gang.module->drop_batches();
  });
  step("graphs", [&] { row.graphs_left = gang.module ? gang.module->drop_graphs() : 0; });
  step("communicators", [&] { ended = end_communicator(gang, path, row.graphs_left, step_limit / 3); });
  row.communicators_left = gang.communicator ? 1 : 0;
  if (!ended || !device.healthy()) {
    row.teardown_s = seconds_since(begin);
    return down;
  }
  const std::weak_ptr<OpenModule> watch = gang.module;
  step("drop_weights", [&] { gang.module.reset(); });
  row.modules_left = watch.expired() ? 0 : 1;
  step("clear_workspaces", [&] { device.clear_workspaces(); });
  step("empty_caches", [&] {
    device.synchronize();  // pinned blocks are freed only when their events are done
    device.empty_host_cache();
    device.empty_cache();
  });
  step("measure", [&] {
    device.synchronize();
    measure(device, before, row);
  });
  row.teardown_s = seconds_since(begin);
  down.aftermath = Aftermath::measured;
  return down;
}

}  // namespace proctor
