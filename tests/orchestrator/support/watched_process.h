// A little process with its watch, and a clock that the test moves.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/watch/outside_watch.h"
#include "tests/orchestrator/support/little_process.h"

namespace proctor {

/// "sleep (4711)" -> "sleep"; "/tmp/x/psm_1 (3 bytes)" -> "psm_1 (3 bytes)". Sorted.
inline std::vector<std::string> without_pids(std::vector<std::string> texts) {
  for (std::string& text : texts) text.erase(text.find(" ("));
  std::ranges::sort(texts);
  return texts;
}

class WatchedProcess {
 public:
  using Ending = OutsideWatch::Ending;
  using Names = std::vector<std::string>;
  explicit WatchedProcess(std::vector<std::string> command, const std::string& devices = "",
                          const DeviceLibrary& library = no_library(), const std::string& shared = "/nowhere",
                          bool alone = false)
      : process_(std::move(command), slot()),
        watch_({process_.pid(), slot(), devices, alone, shared}, processes_, library) {}
  ~WatchedProcess() { (void)watch_.sweep(Ending::guest); }

  LittleProcess& process() { return process_; }
  OutsideWatch& watch() { return watch_; }

  /// Until its tree has these names, as another pair of eyes sees it: the watch does not look.
  void wait_for(const Names& names) {
    Names now;
    EXPECT_TRUE(eventually([&] {
      ProcessTable processes;
      processes.walk();
      now.clear();
      const std::optional<Process> root = read_process(process_.pid());
      for (const Process& process : find_tree(processes, {root ? root->id : ProcessId{process_.pid(), 0}, slot(), {}}))
        now.push_back(process.name);
      std::ranges::sort(now);
      return now == names;
    })) << testing::PrintToString(now);
  }
  void open_and_go_on() {
    watch_.open(now);
    process_.go_on();
  }
  void sample() { watch_.sample(now += Moment(1)); }
  /// As if all the time had passed that a guest is given, but those who were killed do have their time to die.
  OutsideMeasures close(Ending ending = Ending::visit) {
    watch_.closing(ending, now);
    return settle_late(ending);
  }
  OutsideMeasures settle_late(Ending ending = Ending::visit) {
    std::optional<OutsideMeasures> measures = watch_.settle(now += Moment(2));
    if (!measures) {
      EXPECT_TRUE(eventually([&] { return watch_.sweep(ending).gone; }));
      measures = watch_.settle(now += Moment(0.1));
    }
    EXPECT_TRUE(measures);
    return measures.value_or(OutsideMeasures{});
  }
  /// At the first look: everything must be as at the beginning.
  OutsideMeasures close_at_once(Ending ending = Ending::visit) {
    watch_.closing(ending, now);
    const std::optional<OutsideMeasures> measures = watch_.settle(now);
    EXPECT_TRUE(measures);
    return measures.value_or(OutsideMeasures{});
  }

  Moment now{100};

 private:
  static std::string slot() { return "watched-" + std::to_string(::getpid()); }
  static const DeviceLibrary& no_library() {
    static const DeviceLibrary none("libnothing-of-this-name.so.1");
    return none;
  }
  ProcessTable processes_;
  LittleProcess process_;
  OutsideWatch watch_;
};

}  // namespace proctor
