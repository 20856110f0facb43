#include "orchestrator/ranks/worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "orchestrator/base/signals.h"
#include "orchestrator/base/spawn.h"
#include "sharding/protocol/error.h"

extern char** environ;

namespace proctor {
namespace {

constexpr int kChildSocket = 3;
constexpr std::chrono::seconds kDeath{1};  // for a killed process to be gone

pid_t spawn_worker(std::vector<std::string> arguments, const FileActions& files,
                   const std::vector<std::string>& own = {}) {
  return spawn(std::move(arguments), own.empty() ? worker_environment(environ) : guest_environment(environ, own), files,
               SignalsOfChild::held);
}

std::string describe(int status) {
  if (WIFSIGNALED(status))
    return "signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

/// What comes up to its end, or nothing if that is not there at `until`.
std::optional<std::string> read_all(int descriptor, std::chrono::steady_clock::time_point until) {
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return std::nullopt;
    pollfd readable{descriptor, POLLIN, 0};
    if (::poll(&readable, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 1000))) <= 0) continue;
    const ssize_t n = ::read(descriptor, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

/// The status it ended with, or nothing if it has not at `until`.
std::optional<int> wait_for(pid_t pid, std::chrono::steady_clock::time_point until) {
  for (int status = 0;; ::poll(nullptr, 0, 1)) {
    const pid_t done = waitpid(pid, &status, WNOHANG);
    if (done == pid) return status;
    if (done < 0 && errno == ECHILD) return 0;  // SIGCHLD is ignored here: nobody can tell
    if (std::chrono::steady_clock::now() > until) return std::nullopt;
  }
}

}  // namespace

std::string worker_binary_path() {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "proctor-worker").string();
}

std::vector<std::string> worker_environment(const char* const* environment) {
  // Launchers' variables would make a child think it is a rank; the others change arithmetic, so results would depend
  // on the user's shell.
  static const std::array<std::string_view, 13> dropped = {
      "OMPI_",   "PMIX_", "PMI_",  "PRTE_", "SLURM_STEP_", "NCCL_COMM_ID=",        "MKL_",
      "ONEDNN_", "DNNL_", "ATEN_", "OMP_",  "CUBLAS_",     "NVIDIA_TF32_OVERRIDE="};
  std::vector<std::string> kept;
  for (; *environment; ++environment) {
    const std::string_view entry = *environment;
    bool drop = false;
    for (std::string_view prefix : dropped) drop = drop || entry.starts_with(prefix);
    if (!drop) kept.emplace_back(entry);
  }
  return kept;
}

std::vector<std::string> guest_environment(const char* const* environment, const std::vector<std::string>& own) {
  static const std::array<std::string_view, 6> of_launchers = {
      "RANK=", "WORLD_SIZE=", "LOCAL_RANK=", "MASTER_", "RAY_", "LOCAL_WORLD_SIZE="};
  std::vector<std::string> kept;
  for (std::string& entry : worker_environment(environment)) {
    const std::string name = entry.substr(0, entry.find('=') + 1);
    const auto begins = [&](std::string_view with) { return entry.starts_with(with); };
    if (std::ranges::none_of(of_launchers, begins) &&
        std::ranges::none_of(own, [&](const std::string& mine) { return mine.starts_with(name); }))
      kept.push_back(std::move(entry));
  }
  kept.insert(kept.end(), own.begin(), own.end());
  return kept;
}

WorkerProcess::WorkerProcess(const WorkerCommand& command) : WorkerProcess(command, make_channel_pair()) {}

WorkerProcess::WorkerProcess(const WorkerCommand& command, std::pair<Channel, Channel> ends)
    : channel_(std::move(ends.first)) {
  FileActions files;
  // dup2 onto itself would keep close-on-exec: go by way of a descriptor that surely differs.
  const int high = fcntl(ends.second.descriptor(), F_DUPFD_CLOEXEC, 64);
  if (high < 0) throw EnvironmentError(std::string("fcntl: ") + std::strerror(errno));
  const Channel keep(high);
  files.open(0, "/dev/null", O_RDONLY);
  files.open(2, command.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  files.copy(2, 1);
  files.copy(high, kChildSocket);
  std::vector<std::string> arguments = command.guest.empty() ? std::vector{command.binary} : command.guest;
  for (std::string argument :
       {std::string("serve"), std::string("--fd"), std::to_string(kChildSocket), std::string("--device"),
        command.device, std::string("--index"), std::to_string(command.index), std::string("--threads"),
        std::to_string(command.threads), std::string("--memory-limit"), std::to_string(command.memory_limit_bytes),
        std::string("--parent"), std::to_string(getpid())})
    arguments.push_back(std::move(argument));
  pid_ = spawn_worker(std::move(arguments), files, command.environment);
}

WorkerProcess::~WorkerProcess() {
  if (ended()) return;
  kill();
  int status = 0;
  waitpid(pid_, &status, 0);
}

void WorkerProcess::kill() {
  if (!how_) ::kill(-pid_, SIGKILL);
}

std::optional<std::string> WorkerProcess::ended() {
  int status = 0;
  if (how_ || waitpid(pid_, &status, WNOHANG) != pid_) return how_;
  how_ = describe(status);
  if (WIFSIGNALED(status)) signal_ = WTERMSIG(status);
  return how_;
}

CommandResult ask_command(const std::vector<std::string>& arguments, std::chrono::duration<double> deadline,
                          const std::vector<std::string>& environment) {
  CommandResult result = run_command(arguments, deadline, environment);
  for (int again = 0; again < 2 && result.status == 128 + SIGKILL; ++again)
    result = run_command(arguments, deadline, environment);
  return result;
}

CommandResult run_command(const std::vector<std::string>& arguments, std::chrono::duration<double> deadline,
                          const std::vector<std::string>& environment) {
  const auto until =
      std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(deadline);
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw EnvironmentError(std::string("pipe: ") + std::strerror(errno));
  const Descriptor out(ends[0]);
  std::optional<Descriptor> in(std::in_place, ends[1]);
  // Standard error goes to a file, which needs no folder: two pipes could fill each other.
  const Descriptor error(memfd_create("proctor-standard-error", MFD_CLOEXEC));
  if (error.value() < 0) throw EnvironmentError(std::string("memfd_create: ") + std::strerror(errno));
  FileActions files;
  files.open(0, "/dev/null", O_RDONLY);
  files.copy(in->value(), 1);
  files.copy(error.value(), 2);
  const EndsWithUs child([&] { return spawn_worker(arguments, files, environment); });
  const pid_t pid = child.pid();
  in.reset();
  const std::optional<std::string> output = read_all(out.value(), until);
  const std::optional<int> status = output ? wait_for(pid, until) : std::nullopt;
  if (!status) {
    ::kill(-pid, SIGKILL);
    (void)wait_for(pid, until + kDeath);  // one that the kernel holds is left to it
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%g", deadline.count());
    throw EnvironmentError(arguments[0] + (arguments.size() > 1 ? " " + arguments[1] : "") + ": no answer after " +
                           seconds + " s (deadlines.load), so it was killed; does a file system or a driver hang?");
  }
  lseek(error.value(), 0, SEEK_SET);
  return {WIFSIGNALED(*status) ? 128 + WTERMSIG(*status) : WEXITSTATUS(*status), *output,
          read_all(error.value(), until).value_or("")};
}

}  // namespace proctor
