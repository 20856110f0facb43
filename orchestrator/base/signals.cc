#include "orchestrator/base/signals.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <initializer_list>

#include "orchestrator/base/exit_code.h"

namespace proctor {
namespace {

std::atomic<int> interrupts{0}, drains{0}, leaves{0}, last{0};

std::atomic<bool> nothing_begun{false};
std::array<std::atomic<pid_t>, 256> children{};

/// Safe in a handler. 128 + the signal of an interrupt, else what stopped early ends with.
[[noreturn]] void end_now(int number) {
  for (const auto& child : children)
    if (const pid_t pid = child; pid > 0) kill(-pid, SIGKILL);
  constexpr char kSaid[] = "proctor: ended by a signal before anything was begun\n";
  (void)!write(STDERR_FILENO, kSaid, sizeof kSaid - 1);
  _exit(number == SIGINT ? kInterrupted : kStoppedEarly);
}

void on_signal(int number) {
  if (nothing_begun) end_now(number);
  last = number;
  if (number == SIGINT)
    ++interrupts;
  else if (number == SIGUSR1 || number == SIGUSR2)
    ++drains;
  else
    ++leaves;
}

void handle(std::initializer_list<int> numbers) {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  for (const int number : numbers) sigaction(number, &action, nullptr);
  struct sigaction before {};
  sigaction(SIGHUP, nullptr, &before);
  if (before.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);
}

}  // namespace

void install_signals(bool under_launcher) {
  handle({SIGUSR1, SIGUSR2, SIGTERM});
  if (!under_launcher) handle({SIGINT});
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is a failed write
}

void install_ending_signals() { handle({SIGINT, SIGTERM}); }

Asked asked() {
  if (interrupts >= 2) return Asked::interrupt;
  if (leaves > 0) return Asked::leave;
  return interrupts + drains > 0 ? Asked::drain : Asked::nothing;
}

int last_signal() { return last; }

NothingBegun::NothingBegun() {
  nothing_begun = true;
  if (asked() != Asked::nothing) end_now(last);
}

NothingBegun::~NothingBegun() { nothing_begun = false; }

EndsWithUs::EndsWithUs(pid_t child) : place_(-1) {
  for (std::size_t i = 0; i < children.size() && place_ < 0; ++i)
    if (pid_t free = 0; children[i].compare_exchange_strong(free, child)) place_ = static_cast<int>(i);
}

EndsWithUs::~EndsWithUs() {
  if (place_ >= 0) children[static_cast<std::size_t>(place_)] = 0;
}

}  // namespace proctor
