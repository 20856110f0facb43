// For tests only: harm done to this worker at an announced unit, as the environment variable PROCTOR_TEST_FAULT says:
//   {"unit": "teardown communicators", "member": 1, "action": "kill", "once": "/path/that/is/made/then"}
// unit: how the announcement begins. action: kill, stop, throw, out_of_memory, leak (4096 bytes). once: a file whose
// making claims the harm, so that a fresh worker is spared; without it every worker suffers. module: only there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace proctor {

class FaultHook {
 public:
  /// Nothing planted: an empty hook. Throws UsageError for a text that is no fault.
  static FaultHook from_environment();

  /// Before the unit is run.
  void at(const std::string& unit, std::uint32_t member, const std::string& module) const;

 private:
  struct Fault {
    std::string unit, action, once, module;
    std::optional<std::uint32_t> member;
  };
  bool claim() const;
  std::optional<Fault> fault_;
};

}  // namespace proctor
