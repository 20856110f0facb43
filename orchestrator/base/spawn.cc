#include "orchestrator/base/spawn.h"

#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <mutex>
#include <set>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

struct Attributes {
  posix_spawnattr_t attributes;
  explicit Attributes(SignalsOfChild signals) {
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attributes, 0);
    sigset_t all, held;
    sigfillset(&all);
    sigemptyset(&held);
    if (signals == SignalsOfChild::held)
      for (int number : {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP}) sigaddset(&held, number);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &held);
  }
  ~Attributes() { posix_spawnattr_destroy(&attributes); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

std::mutex& children_mutex() {
  static std::mutex mutex;
  return mutex;
}
std::set<pid_t>& children() {
  static std::set<pid_t> pids;
  return pids;
}

}  // namespace

pid_t spawn(std::vector<std::string> arguments, std::vector<std::string> environment, const FileActions& files,
            SignalsOfChild signals) {
  const Attributes attributes(signals);
  pid_t pid = -1;
  const std::lock_guard lock(children_mutex());  // nobody asks about it before it is noted
  const int error = posix_spawnp(&pid, arguments[0].c_str(), files.get(), &attributes.attributes,
                                 pointers(arguments).data(), pointers(environment).data());
  if (error != 0) throw EnvironmentError(arguments[0] + ": cannot be started: " + std::strerror(error));
  children().insert(pid);
  return pid;
}

std::vector<std::string> own_environment() {
  std::vector<std::string> all;
  for (char** entry = environ; *entry; ++entry) all.emplace_back(*entry);
  return all;
}

bool was_spawned_here(pid_t pid) {
  const std::lock_guard lock(children_mutex());
  return children().contains(pid);
}

}  // namespace proctor
