#include "orchestrator/store/run_lock.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <random>
#include <sstream>

#include "orchestrator/base/machine.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kOwnerBytes = 1024;  // of the file, padded: written in place, never shorter than before

std::string first_line(const fs::path& path) {
  std::ifstream stream(path);
  std::string line;
  std::getline(stream, line);
  return line;
}

/// Field 22 of /proc/PID/stat, "" if that cannot be read; "ended" of a zombie.
std::string start_time(std::int64_t pid) {
  const std::string line = first_line("/proc/" + std::to_string(pid) + "/stat");
  const auto end = line.rfind(')');
  if (end == std::string::npos) return "";
  std::istringstream fields(line.substr(end + 1));
  std::string state, field;
  fields >> state;
  for (int i = 0; i < 19; ++i) fields >> field;
  return state == "Z" || state == "X" ? "ended" : field;
}

std::string padded(const Owner& owner) {
  std::string text = nlohmann::json(owner).dump(2);
  text.resize(std::max(kOwnerBytes, text.size() + 1), ' ');
  text.back() = '\n';
  return text;
}

std::string who(const Owner& owner) {
  return "pid " + std::to_string(owner.pid) + " on " + owner.host +
         (owner.job_id.empty() ? "" : ", Slurm job " + owner.job_id);
}

/// Whose run it is, where it is another user's: ", of user alice".
std::string whose(const fs::path& owner) {
  struct stat found {};
  if (::stat(owner.c_str(), &found) != 0 || found.st_uid == ::geteuid()) return "";
  std::array<char, 4096> buffer;
  passwd entry{}, *known = nullptr;
  ::getpwuid_r(found.st_uid, &entry, buffer.data(), buffer.size(), &known);
  return ", of user " + (known ? std::string(known->pw_name) : std::to_string(found.st_uid));
}

/// Two containers of one machine do not see each other's processes.
bool same_machine(const Owner& a, const Owner& b) {
  return !a.boot_id.empty() && a.boot_id == b.boot_id && a.pid_namespace == b.pid_namespace;
}

/// Of this machine. Where /proc hides others' processes, only that there is none of that number.
bool gone(const Owner& owner) {
  if (::kill(static_cast<pid_t>(owner.pid), 0) != 0 && errno == ESRCH) return true;
  const std::string began = start_time(owner.pid);
  return !began.empty() && began != owner.start_time;
}

std::optional<Owner> read_owner_file(const fs::path& path) {
  std::ifstream stream(path);
  try {
    return nlohmann::json::parse(stream).get<Owner>();
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace

Owner this_owner() {
  Owner owner;
  owner.host = host_name();
  owner.boot_id = first_line("/proc/sys/kernel/random/boot_id");
  owner.pid = getpid();
  owner.start_time = start_time(owner.pid);
  std::error_code none;
  owner.pid_namespace = fs::read_symlink("/proc/self/ns/pid", none).string();
  owner.job_id = variable("SLURM_JOB_ID");
  owner.restart_count = std::atoll(variable("SLURM_RESTART_COUNT").c_str());
  std::random_device random;
  for (int i = 0; i < 4; ++i) owner.token += std::to_string(random()) + (i < 3 ? "-" : "");
  return owner;
}

std::optional<Owner> read_owner(const RunDirectory& directory) { return read_owner_file(directory.owner()); }

std::string dead_because(const Owner& owner, const Owner& contender) {
  if (same_machine(owner, contender) && gone(owner)) return "its process is gone";
  if (!owner.job_id.empty() && owner.job_id == contender.job_id && owner.restart_count < contender.restart_count)
    return "it was an earlier start of this Slurm job";
  return "";
}

bool surely_alive(const Owner& owner, const Owner& contender) {
  return same_machine(owner, contender) && start_time(owner.pid) == owner.start_time;
}

RunLock::RunLock(const RunDirectory& directory, const LockPatience& patience,
                 const std::function<void(const std::string&)>& say)
    : directory_(directory), mine_(this_owner()) {
  using Clock = std::chrono::steady_clock;
  std::optional<Owner> seen;
  Clock::time_point since = Clock::now();
  bool told = false;
  while (!make()) {
    const auto owner = read_owner(directory_);
    if (!owner && !fs::exists(directory_.owner())) continue;  // it has just left
    const auto refuse = [&] {
      throw EnvironmentError(
          directory_.root().string() + ": another proctor has this run directory (" +
          (owner ? who(*owner) + whose(directory_.owner())
                 : "its owner.json is not readable; if it is surely dead, remove " + directory_.owner().string()) +
          "); wait for it, or give --out another folder");
    };
    if (!owner || surely_alive(*owner, mine_)) refuse();
    if (!dead_because(*owner, mine_).empty()) {
      take_over(*owner);
      continue;
    }
    if (seen && *seen != *owner) refuse();  // its counter grows
    if (!seen) since = Clock::now();
    seen = owner;
    if (Clock::now() - since >= patience.stale) {
      take_over(*owner);
      seen.reset();
      continue;
    }
    if (!told && say)
      say("proctor: " + directory_.root().string() + " was last owned by " + who(*owner) + "; waiting at most " +
          std::to_string(static_cast<long>(patience.stale.count())) + " s for a sign of life from it");
    told = true;
    if (patience.give_up && patience.give_up())
      throw EnvironmentError(directory_.root().string() + ": stopped while waiting for " + who(*owner));
    std::this_thread::sleep_for(patience.poll);
  }
}

/// False if there is an owner already.
bool RunLock::make() {
  const fs::path own = directory_.owner().string() + "." + mine_.token;
  descriptor_ = ::open(own.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor_ < 0) {
    const int why = errno;
    if (const auto owner = read_owner(directory_); owner && (why == EACCES || why == EPERM || why == EROFS))
      throw EnvironmentError(directory_.root().string() + ": is not yours to write (" + std::strerror(why) +
                             "), and was last run by " + who(*owner) + whose(directory_.owner()) +
                             "; give --out another folder");
    errno = why;
    throw_errno(own, "cannot be made");
  }
  const std::string text = padded(mine_);
  if (::write(descriptor_, text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fsync(descriptor_) != 0) {
    const int saved = errno;
    fs::remove(own);
    errno = saved;
    throw_errno(own, "cannot be written");
  }
  const bool linked = ::link(own.c_str(), directory_.owner().c_str()) == 0;
  const int why = errno;
  if (!linked && why != EEXIST) {  // no hard links here: a rename, which must not replace an owner
    if (!fs::exists(directory_.owner()) && ::rename(own.c_str(), directory_.owner().c_str()) == 0)
      if (const auto owner = read_owner(directory_); owner && owner->token == mine_.token) return true;
  }
  fs::remove(own);
  if (linked) return true;
  if (const auto owner = read_owner(directory_); owner && owner->token == mine_.token)
    return true;  // NFS lost the reply
  ::close(descriptor_);
  descriptor_ = -1;
  return false;
}

/// Only one contender's rename finds the file; if by then it was another owner's, that one gets it back.
void RunLock::take_over(const Owner& stale) const {
  const fs::path aside = directory_.owner().string() + ".stale-" + mine_.token;
  if (::rename(directory_.owner().c_str(), aside.c_str()) != 0) {
    if (errno == ENOENT) return;
    throw_errno(directory_.owner(), "cannot be renamed");
  }
  if (read_owner_file(aside) != stale) (void)::link(aside.c_str(), directory_.owner().c_str());
  fs::remove(aside);
}

void RunLock::verify() const {
  std::optional<Owner> owner;
  for (int tries = 0; tries < 20 && !(owner = read_owner(directory_)); ++tries)  // a contender may be putting it back
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  if (owner && owner->token == mine_.token) return;
  throw LockLost(directory_.owner().string() + ": " +
                 (owner ? "the run directory was taken over by another proctor (" + who(*owner) + ")"
                        : "is gone or not readable") +
                 "; this one writes nothing more");
}

void RunLock::beat() {
  ++mine_.counter;
  const std::string text = padded(mine_);
  if (::pwrite(descriptor_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) || ::fsync(descriptor_))
    throw_errno(directory_.owner(), "cannot be written");
}

KeptBeating::KeptBeating(RunLock& lock, std::chrono::duration<double> every)
    : thread_([&lock, every](const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any ended;
        std::unique_lock held(mutex);
        while (!ended.wait_for(held, stop, every, [&] { return stop.stop_requested(); })) {
          try {
            lock.beat();
          } catch (const Error&) {  // the store's thread meets it too, and says so
          }
        }
      }) {}

RunLock::~RunLock() {
  const auto owner = read_owner(directory_);
  std::error_code ignored;
  if (owner && owner->token == mine_.token) fs::remove(directory_.owner(), ignored);
  ::close(descriptor_);
}

}  // namespace proctor
