#include "orchestrator/base/signals.h"

#include <signal.h>

#include <atomic>

namespace proctor {
namespace {

std::atomic<int> interrupts{0}, drains{0}, leaves{0}, last{0};

void on_signal(int number) {
  last = number;
  if (number == SIGINT)
    ++interrupts;
  else if (number == SIGUSR1 || number == SIGUSR2)
    ++drains;
  else
    ++leaves;
}

}  // namespace

void install_signals(bool under_launcher) {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  if (!under_launcher) sigaction(SIGINT, &action, nullptr);
  for (int number : {SIGUSR1, SIGUSR2, SIGTERM}) sigaction(number, &action, nullptr);
  struct sigaction before {};
  sigaction(SIGHUP, nullptr, &before);
  if (before.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is a failed write
}

Asked asked() {
  if (interrupts >= 2) return Asked::interrupt;
  if (leaves > 0) return Asked::leave;
  return interrupts + drains > 0 ? Asked::drain : Asked::nothing;
}

int last_signal() { return last; }

}  // namespace proctor
