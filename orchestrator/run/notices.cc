#include "orchestrator/run/notices.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "orchestrator/base/exit_code.h"
#include "orchestrator/base/machine.h"
#include "orchestrator/base/spawn.h"
#include "sharding/protocol/descriptor.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPause{20};

/// `text` on its standard input; what it prints is dropped.
pid_t start(const std::string& command, const std::string& text) {
  const Descriptor input(::memfd_create("notice", MFD_CLOEXEC));
  if (input.value() < 0 || ::write(input.value(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::lseek(input.value(), 0, SEEK_SET) != 0)
    throw EnvironmentError("no memory for what it is told");
  FileActions files;
  files.copy(input.value(), STDIN_FILENO);
  files.open(STDOUT_FILENO, "/dev/null", O_WRONLY);
  files.open(STDERR_FILENO, "/dev/null", O_WRONLY);
  return spawn({"/bin/sh", "-c", command}, own_environment(), files, SignalsOfChild::free);
}

/// What became of it; "" where it ended as it should.
std::string outcome(pid_t pid, std::chrono::duration<double> limit, const std::function<bool()>& hurry) {
  const auto deadline = Clock::now() + limit;
  int status = 0;
  while (true) {
    const pid_t ended = ::waitpid(pid, &status, WNOHANG);
    if (ended == pid) break;
    if (ended < 0 && errno != EINTR) return "";  // SIGCHLD is ignored here: nobody can tell
    if (Clock::now() > deadline || hurry()) {
      ::kill(-pid, SIGKILL);
      ::waitpid(pid, &status, 0);
      return "did not end within " + duration_text(limit.count()) + " and was killed";
    }
    std::this_thread::sleep_for(kPause);
  }
  if (WIFSIGNALED(status)) return "was ended by signal " + std::to_string(WTERMSIG(status));
  return WEXITSTATUS(status) == 0 ? "" : "ended with " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

std::string end_name(int exit_code) {
  if (exit_code == kDone) return "done";
  return exit_code == kStoppedEarly || exit_code == kInterrupted ? "drained" : "failed";
}

void Notices::about(const std::string& suite, const std::string& directory) {
  suite_ = suite;
  directory_ = directory;
}

void Notices::tell(const Notice& notice) {
  if (command_.empty()) return;
  const Json json = {{"event", notice.event},
                     {"message", notice.message},
                     {"exit_code", notice.exit_code < 0 ? Json() : Json(notice.exit_code)},
                     {"suite", suite_},
                     {"directory", directory_},
                     {"host", host_name()},
                     {"pid", ::getpid()}};
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  running_.emplace_back([this, text, event = notice.event] {
    std::string why;
    try {
      why = outcome(start(command_, text), deadline_, hurry_);
    } catch (const std::exception& error) {
      why = error.what();
    }
    if (!why.empty()) say_("proctor: --notify '" + command_ + "', told of " + event + ": " + why);
  });
}

void Notices::tell_end(int exit_code, const std::string& message) {
  if (std::exchange(ended_, true)) return;
  tell({end_name(exit_code), message, exit_code});
  wait();
}

void Notices::wait() { running_.clear(); }

}  // namespace proctor
