#include "orchestrator/worker_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "sharding/error.h"

extern char** environ;

namespace proctor {
namespace {

constexpr int kChildSocket = 3;

struct FileActions {
  posix_spawn_file_actions_t actions;
  FileActions() { posix_spawn_file_actions_init(&actions); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
};

struct Attributes {
  posix_spawnattr_t attributes;
  Attributes() {
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attributes, 0);
    sigset_t all, held;
    sigfillset(&all);
    sigemptyset(&held);  // srun sends signals to every process of its step: held back until the child ignores them
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

pid_t spawn(std::vector<std::string> arguments, const FileActions& files) {
  const Attributes attributes;
  std::vector<std::string> environment = worker_environment(environ);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, arguments[0].c_str(), &files.actions, &attributes.attributes,
                                pointers(arguments).data(), pointers(environment).data());
  if (error != 0) throw EnvironmentError(arguments[0] + ": cannot be started: " + std::strerror(error));
  return pid;
}

std::string describe(int status) {
  if (WIFSIGNALED(status))
    return "signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t n = ::read(descriptor, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

}  // namespace

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

WorkerProcess::WorkerProcess(const WorkerCommand& command) : WorkerProcess(command, make_channel_pair()) {}

WorkerProcess::WorkerProcess(const WorkerCommand& command, std::pair<Channel, Channel> ends)
    : channel_(std::move(ends.first)) {
  const FileActions files;
  auto* actions = const_cast<posix_spawn_file_actions_t*>(&files.actions);
  // dup2 onto itself would keep close-on-exec: go by way of a descriptor that surely differs.
  const int high = fcntl(ends.second.descriptor(), F_DUPFD_CLOEXEC, 64);
  if (high < 0) throw EnvironmentError(std::string("fcntl: ") + std::strerror(errno));
  const Channel keep(high);
  posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(actions, 2, command.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(actions, 2, 1);
  posix_spawn_file_actions_adddup2(actions, high, kChildSocket);
  pid_ = spawn({command.binary, "serve", "--fd", std::to_string(kChildSocket), "--device", command.device, "--index",
                std::to_string(command.index), "--threads", std::to_string(command.threads), "--memory-limit",
                std::to_string(command.memory_limit_bytes), "--parent", std::to_string(getpid())},
               files);
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

CommandResult ask_command(const std::vector<std::string>& arguments) {
  CommandResult result = run_command(arguments);
  for (int again = 0; again < 2 && result.status == 128 + SIGKILL; ++again) result = run_command(arguments);
  return result;
}

CommandResult run_command(const std::vector<std::string>& arguments) {
  std::array<int, 2> out{};
  if (pipe2(out.data(), O_CLOEXEC) != 0) throw EnvironmentError(std::string("pipe: ") + std::strerror(errno));
  char name[] = "/tmp/proctor-XXXXXX";  // standard error goes to a file: two pipes could fill each other
  const int error = mkostemp(name, O_CLOEXEC);
  if (error < 0) throw EnvironmentError(std::string("mkostemp: ") + std::strerror(errno));
  unlink(name);
  const FileActions files;
  auto* actions = const_cast<posix_spawn_file_actions_t*>(&files.actions);
  posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(actions, out[1], 1);
  posix_spawn_file_actions_adddup2(actions, error, 2);
  const pid_t pid = spawn(arguments, files);
  ::close(out[1]);
  CommandResult result;
  result.output = read_all(out[0]);
  ::close(out[0]);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  result.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  lseek(error, 0, SEEK_SET);
  result.error = read_all(error);
  ::close(error);
  return result;
}

}  // namespace proctor
