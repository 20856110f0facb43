// The ledger: what each member of each visit took, left behind and was judged. Measured by the worker (LedgerRow),
// judged by the orchestrator (LedgerLine), a line of ledger.jsonl. docs/results.md names every field.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "sharding/protocol/ids.h"
#include "sharding/protocol/outside_measures.h"

namespace proctor {

/// Measured while a visit was torn down: what a member holds that it did not hold before, and how long each step took.
struct TeardownMeasures {
  double teardown_s = 0;
  std::map<std::string, double> steps;                                          ///< step -> seconds
  std::uint64_t allocated_before = 0, allocated_peak = 0, allocated_after = 0;  ///< bytes
  std::uint64_t reserved_before = 0, reserved_peak = 0, reserved_after = 0;     ///< bytes
  std::uint64_t device_free_before = 0, device_free_after = 0;                  ///< bytes
  std::uint64_t resident_before = 0, resident_after = 0;                        ///< bytes
  std::uint64_t communicators_left = 0, graphs_left = 0, modules_left = 0;
  std::int64_t file_descriptors_before = 0, threads_before = 0;  ///< of the baseline
  std::int64_t file_descriptors = 0, threads = 0, mappings = 0;  ///< after the visit
  std::string new_threads;                                       ///< names of those that the baseline had not
  bool warmed_up = false;  ///< this process had ended a visit before, so that one-time growth is in the baseline
};

/// Measured by one member over one visit.
struct LedgerRow : TeardownMeasures {
  double load_s = 0, run_s = 0;
  std::uint64_t batches = 0, cleanups = 0, bytes_read = 0, tokens = 0;
  double cleanup_s = 0, tokenize_s = 0;
  std::uint64_t images = 0, patches = 0;  ///< that a vision tower computed
  double vision_s = 0;                    ///< of run_s, in the tower
  double flops = 0;                       ///< computed by this member: products and attention
  double products_s = 0;  ///< of the products alone, for as many FLOPs at the batches' mean size; 0: not measured
  bool guest = false;     ///< of a guest nothing of TeardownMeasures but its seconds is known, and no FLOPs
  std::optional<OutsideMeasures> outside = {};  ///< of a guest: what its agent saw
  std::map<std::string, double> claimed = {};   ///< what a guest says of its own counters; nobody measured it

  const TeardownMeasures& measures() const { return *this; }
  void set(TeardownMeasures measured) { static_cast<TeardownMeasures&>(*this) = std::move(measured); }
};

enum class Verdict { clean, recycled, aborted };
std::string to_string(Verdict verdict);
/// "clean (outside)" of a guest, whose inside nobody measured.
std::string verdict_text(Verdict verdict, const LedgerRow& row);

/// A row with what the orchestrator knows of it.
struct LedgerLine {
  std::string module;
  VisitId visit;
  SlotId worker;
  std::uint32_t incarnation = 0;
  std::uint32_t member = 0, members = 1;
  std::string device = "cpu";  ///< or the GPU's name
  Verdict verdict = Verdict::clean;
  std::string reason;                 ///< why it is not clean
  double opened_s = 0, closed_s = 0;  ///< since the run's first start
  std::optional<double> lost_s;       ///< of a shard that was not answered
  LedgerRow row;
};

/// "node.slot", as lines and pictures call a worker.
std::string device_name(SlotId device);

}  // namespace proctor
