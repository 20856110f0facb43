// `--notify CMD`: a command of the user's that is told of what happens to a run, a JSON object on its standard input.
// It has ten seconds; what becomes of it is said and changes nothing. Rank 0, any of whose threads may tell; none
// waits but the one that tells the end.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace proctor {

struct Notice {
  std::string event;    ///< done, failed, drained, slot_lost
  std::string message;  ///< what happened, for a person
  int exit_code = -1;   ///< of an end; -1: it goes on
};

class Notices {
 public:
  static constexpr std::chrono::duration<double> kDeadline{10};

  /// `command`: of /bin/sh; "": nobody is told. `hurry`: whether to wait no longer (a second Ctrl-C). `say`: that it
  /// failed, from any thread.
  Notices(std::string command, std::function<bool()> hurry, std::function<void(const std::string&)> say,
          std::chrono::duration<double> deadline = kDeadline)
      : command_(std::move(command)), hurry_(std::move(hurry)), say_(std::move(say)), deadline_(deadline) {}
  ~Notices() { wait(); }
  Notices(const Notices&) = delete;
  Notices& operator=(const Notices&) = delete;

  /// Whose run it is, once that is known.
  void about(const std::string& suite, const std::string& directory);
  void tell(const Notice& notice);
  /// Of several ends the first counts. Returns when every command has ended, or its time is over.
  void tell_end(int exit_code, const std::string& message);

 private:
  void wait();

  std::string command_;
  std::function<bool()> hurry_;
  std::function<void(const std::string&)> say_;
  std::chrono::duration<double> deadline_;
  std::string suite_, directory_;
  bool ended_ = false;
  std::vector<std::jthread> running_;
};

/// As an end is called: done, drained (stopped early, the same command goes on) or failed.
std::string end_name(int exit_code);

}  // namespace proctor
