#include "orchestrator/base/signals.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
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
std::atomic<int> spawning{0};
std::atomic<bool> ending{false};

/// Safe in a handler. 128 + the signal of an interrupt, else what stopped early ends with. A thread that begins a child
/// has these signals blocked, so waiting for it is not waiting for ourselves; one that a file system holds is left.
[[noreturn]] void end_now(int number) {
  ending = true;
  constexpr timespec kInstant{0, 1'000'000};
  for (int i = 0; i < 2000 && spawning > 0; ++i) nanosleep(&kInstant, nullptr);
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

EndsWithUs::EndsWithUs(const std::function<pid_t()>& spawn) {
  sigset_t ours, before;
  sigemptyset(&ours);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2}) sigaddset(&ours, number);
  pthread_sigmask(SIG_BLOCK, &ours, &before);
  ++spawning;
  const auto end = [&before] {
    --spawning;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  };
  if (ending) {  // another thread is in the handler: it ends the process, with no child more
    end();
    for (;;) pause();
  }
  try {
    pid_ = spawn();
  } catch (...) {
    end();
    throw;
  }
  for (std::size_t i = 0; i < children.size() && place_ < 0; ++i)
    if (pid_t free = 0; children[i].compare_exchange_strong(free, pid_)) place_ = static_cast<int>(i);
  end();
}

EndsWithUs::~EndsWithUs() {
  if (place_ >= 0) children[static_cast<std::size_t>(place_)] = 0;
}

}  // namespace proctor
