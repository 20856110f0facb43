// For tests only: harm done to this worker at an announced unit, as the environment variable PROCTOR_TEST_FAULT says:
//   {"unit": "teardown communicators", "member": 1, "action": "abort", "once": "/path/that/is/made/then"}
// unit: how the announcement begins. action: abort, kill, stop, throw, out_of_memory, leak (4096 bytes), wait (until
// somebody opens the named pipe `pipe` for writing). once: a file
// whose making claims the harm, so that a fresh worker is spared; without it every worker suffers. module: only there.
// text: only where a batch has a request that contains it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "sharding/protocol/request.h"
#include "worker/base/progress_unit.h"

namespace proctor {

class FaultHook {
 public:
  /// Nothing planted: an empty hook. Throws UsageError for a text that is no fault.
  static FaultHook from_environment();

  /// The requests that units with a batch tell of; they outlive it.
  void begin_shard(std::span<const Request> requests) { requests_ = requests; }
  /// Before the unit, of that batch, is run.
  void at(const ProgressUnit& unit, const ProgressUnit& batch, std::uint32_t member, const std::string& module) const;

 private:
  struct Fault {
    std::string unit, action, once, module, text, pipe;
    std::optional<std::uint32_t> member;
  };
  bool claim() const;
  bool meets_text(const ProgressUnit& batch) const;
  std::optional<Fault> fault_;
  std::span<const Request> requests_;
};

}  // namespace proctor
