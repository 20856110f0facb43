// Signals as a value: handlers set flags, the loop asks. INT: drain, a second one leaves at once (under a launcher it
// is the launcher's). USR1, USR2: drain. TERM, HUP: leave, resumable; an inherited ignored HUP stays ignored.
#pragma once

namespace proctor {

enum class Asked { nothing, drain, leave, interrupt };

void install_signals(bool under_launcher);
/// What the signals so far ask for.
Asked asked();
int last_signal();

}  // namespace proctor
