#include "worker/teardown.h"

#include "worker/host_memory.h"

namespace proctor {
namespace {

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void measure(Device& device, const Baseline& before, const Gang& gang, LedgerRow& row) {
  const DeviceMemory memory = device.memory();
  const ProcessCounters process = process_counters();
  row.allocated_before = before.allocated_bytes;
  row.allocated_peak = memory.peak_bytes;
  row.allocated_after = memory.allocated_bytes;
  row.reserved_before = before.reserved_bytes;
  row.reserved_peak = memory.reserved_peak_bytes;
  row.reserved_after = memory.reserved_bytes;
  const bool own_memory = !device.torch().is_cpu();  // a CPU's free memory is the whole node's: others move it
  row.device_free_before = own_memory ? before.free_bytes : 0;
  row.device_free_after = own_memory ? memory.free_bytes : 0;
  row.resident_before = before.resident_bytes;
  row.resident_after = process.resident_bytes;
  row.file_descriptors = process.file_descriptors;
  row.threads = process.threads;
  row.graphs_left = gang.graphs;
  row.communicators_left = gang.communicator ? 1 : 0;
}

}  // namespace

Baseline measure_baseline(Device& device) {
  device.reset_peak();
  const DeviceMemory memory = device.memory();
  return {memory.allocated_bytes, memory.reserved_bytes, memory.free_bytes, process_counters().resident_bytes};
}

void tear_down(Gang& gang, Device& device, const Baseline& before, Deadline deadline, const Announce& announce,
               LedgerRow& row) {
  const auto begin = std::chrono::steady_clock::now();
  const auto step = [&](const char* name, auto&& act) {
    announce(std::string("teardown ") + name);
    const auto started = std::chrono::steady_clock::now();
    act();
    row.steps[name] = seconds_since(started);
  };
  bool agreed = false;
  step("synchronize", [&] { device.synchronize(); });
  step("agree", [&] { agreed = gang.communicator->agree(true, deadline); });
  step("drop_batches", [&] { gang.module->drop_batches(); });
  step("communicators", [&] {
    if (!agreed || !gang.communicator->close(deadline))
      gang.communicator->abort();
    else
      gang.communicator.reset();
  });
  std::weak_ptr<OpenModule> watch = gang.module;
  step("drop_weights", [&] { gang.module.reset(); });
  row.modules_left = watch.expired() ? 0 : 1;
  step("clear_workspaces", [&] { device.clear_workspaces(); });
  step("empty_caches", [&] {
    device.empty_host_cache();
    device.empty_cache();
  });
  step("measure", [&] {
    device.synchronize();
    measure(device, before, gang, row);
  });
  row.teardown_s = seconds_since(begin);
}

}  // namespace proctor
