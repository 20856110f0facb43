// Signals as a value: handlers set flags, the loop asks. INT: drain, a second one leaves at once (under a launcher it
// is the launcher's). USR1, USR2: drain. TERM, HUP: leave, resumable; an inherited ignored HUP stays ignored.
#pragma once

#include <sys/types.h>

#include <functional>

namespace proctor {

enum class Asked { nothing, drain, leave, interrupt };

void install_signals(bool under_launcher);
/// INT, TERM and HUP alone, for a command that begins nothing (NothingBegun).
void install_ending_signals();
/// What the signals so far ask for.
Asked asked();
int last_signal();

/// While one lives, nothing is begun that could be lost: each of those signals, and one that has come before, ends the
/// process at once, with what it asked of children (EndsWithUs). At most one at a time.
class NothingBegun {
 public:
  NothingBegun();
  ~NothingBegun();
  NothingBegun(const NothingBegun&) = delete;
  NothingBegun& operator=(const NothingBegun&) = delete;
};

/// A child, first of its process group, that is killed where a signal ends this process: `spawn` begins it, with those
/// signals held back in this thread, so that none ends us between its beginning and our knowing it.
class EndsWithUs {
 public:
  explicit EndsWithUs(const std::function<pid_t()>& spawn);
  ~EndsWithUs();
  EndsWithUs(const EndsWithUs&) = delete;
  EndsWithUs& operator=(const EndsWithUs&) = delete;
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int place_ = -1;  ///< -1: there was none left
};

}  // namespace proctor
