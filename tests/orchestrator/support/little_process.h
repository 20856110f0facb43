// Small real processes for tests of what watches processes, and waiting for them without sleeping.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/base/spawn.h"
#include "sharding/protocol/descriptor.h"

namespace proctor {

/// Until it holds; false if it does not in half a minute.
inline bool eventually(const std::function<bool()>& holds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (; !holds(); ::poll(nullptr, 0, 1))
    if (std::chrono::steady_clock::now() > until) return false;
  return true;
}

/// First of its group, with PROCTOR_SLOT where `slot` is not empty, and with a pipe as its standard input. Ends with
/// its group. What leaves the group ends by itself: no test's process lives longer than a minute.
class LittleProcess {
 public:
  explicit LittleProcess(std::vector<std::string> command, const std::string& slot = "") {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const Descriptor in(ends[0]);
    input_ = Descriptor(ends[1]);
    FileActions files;
    files.copy(in.value(), 0);
    std::vector<std::string> environment = {std::string("PATH=") + std::getenv("PATH")};
    if (!slot.empty()) environment.push_back("PROCTOR_SLOT=" + slot);
    pid_ = spawn(std::move(command), std::move(environment), files, SignalsOfChild::free);
  }
  ~LittleProcess() { end(); }
  LittleProcess(const LittleProcess&) = delete;
  LittleProcess& operator=(const LittleProcess&) = delete;

  pid_t pid() const { return pid_; }
  /// A line into its standard input.
  void go_on() const { EXPECT_EQ(::write(input_.value(), "\n", 1), 1); }
  /// Reaps it once it has ended by itself.
  void wait() {
    if (!std::exchange(reaped_, true)) ::waitpid(pid_, nullptr, 0);
  }
  void end() {
    ::kill(-pid_, SIGKILL);
    wait();
  }

 private:
  Descriptor input_;
  pid_t pid_ = -1;
  bool reaped_ = false;
};

/// As in /proc/PID/stat: 'S' while it waits, 'Z' when it is not reaped yet; '?' if it is gone.
inline char state_of(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  const std::string text{std::istreambuf_iterator<char>(stat), {}};
  const std::size_t name = text.rfind(')');
  return name == std::string::npos ? '?' : text.at(name + 2);
}

inline std::vector<std::string> shell(const std::string& script) { return {"/bin/sh", "-c", script}; }
/// A script that may call name(text), which becomes its process's name: so it says how far it is. By the interpreter
/// itself, as what is called python3 may be a script that starts others.
inline std::vector<std::string> python(const std::string& script) {
  static const std::string interpreter = [] {
    std::array<char, 4096> line{};
    FILE* const output = ::popen("python3 -c 'import sys; print(sys.executable)'", "r");
    EXPECT_TRUE(output && std::fgets(line.data(), line.size(), output));
    if (output) ::pclose(output);
    return std::string(line.data(), std::strcspn(line.data(), "\n"));
  }();
  return {interpreter, "-c", "def name(text): open('/proc/self/comm', 'w').write(text)\n" + script};
}

/// A folder that goes with it.
struct TemporaryFolder {
  explicit TemporaryFolder(const std::string& name)
      : path(std::filesystem::temp_directory_path() / ("proctor-" + name + "-" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::filesystem::path path;
};

}  // namespace proctor
