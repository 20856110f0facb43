#include "orchestrator/ranks/start_watch.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>

#include "orchestrator/base/exit_code.h"
#include "orchestrator/base/machine.h"
#include "orchestrator/base/tell.h"
#include "orchestrator/ranks/launcher.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::duration<double> kDeadline{600}, kPatience{30};

std::string value_of(std::string_view environment, std::string_view name) {
  for (std::size_t at = 0; at < environment.size();) {
    const std::string_view entry = environment.substr(at, environment.find('\0', at) - at);
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=')
      return std::string(entry.substr(name.size() + 1));
    at += entry.size() + 1;
  }
  return "";
}

std::string text_of(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::string program_of(const fs::path& process) {
  std::error_code none;
  return fs::read_symlink(process / "exe", none).filename().string();
}

}  // namespace

std::vector<LocalRank> local_ranks(const fs::path& proc, const std::string& name_space) {
  std::map<int, LocalRank> ranks;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(proc, none)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string environment = text_of(entry.path() / "environ");  // empty of another user's process
    const std::string rank = value_of(environment, "PMIX_RANK");
    if (rank.empty() || value_of(environment, "PMIX_NAMESPACE") != name_space) continue;
    const LocalRank found{std::atoi(rank.c_str()), std::atol(name.c_str()), program_of(entry.path())};
    const auto [known, fresh] = ranks.try_emplace(found.rank, found);
    if (!fresh && found.pid < known->second.pid) known->second = found;  // what it started has its environment, too
  }
  std::vector<LocalRank> all;
  for (const auto& [number, rank] : ranks) all.push_back(rank);
  return all;
}

std::string waiting_text(int rank, int ranks, const std::string& host, const std::vector<LocalRank>& here,
                         const std::string& program, double seconds) {
  std::string others;
  for (const LocalRank& one : here)
    if (one.program != program)
      others += (others.empty() ? "" : ", ") + ("rank " + std::to_string(one.rank)) + " is pid " +
                std::to_string(one.pid) + " (" + one.program + ")";
  const int elsewhere = ranks - static_cast<int>(here.size());
  return "rank " + std::to_string(rank) + " of " + std::to_string(ranks) + " on " + host + " has waited " +
         std::to_string(std::lround(seconds)) + " s for the others to start (MPI_Init)" +
         (others.empty() ? "" : "; here, " + others + ", and not " + program) +
         (elsewhere > 0 ? "; " + std::to_string(elsewhere) + " of them belong to other nodes: can proctor start there?"
                        : "");
}

std::chrono::duration<double> start_deadline() {
  const std::string given = variable("PROCTOR_START_DEADLINE");
  if (given.empty()) return kDeadline;
  char* end = nullptr;
  const double seconds = std::strtod(given.c_str(), &end);
  if (*end != '\0' || !(seconds > 0) || seconds > 1e6)
    throw UsageError("PROCTOR_START_DEADLINE: expected seconds, found '" + given + "'");
  return std::chrono::duration<double>(seconds);
}

StartWatch::StartWatch(std::chrono::duration<double> deadline, ErrorStyle errors)
    : thread_([this, deadline, errors] { watch(deadline, errors); }) {}

StartWatch::~StartWatch() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

void StartWatch::watch(std::chrono::duration<double> deadline, ErrorStyle errors) {
  const auto begin = std::chrono::steady_clock::now();
  const auto after = [&](std::chrono::duration<double> time) {
    return begin + std::chrono::duration_cast<std::chrono::steady_clock::duration>(time);
  };
  std::unique_lock lock(mutex_);
  const auto patience = std::min(kPatience, deadline / 2);
  if (ended_.wait_until(lock, after(patience), [&] { return over_; })) return;
  const std::vector<LocalRank> here = local_ranks("/proc", variable("PMIX_NAMESPACE"));
  const std::string program = program_of("/proc/self");
  const bool missing = std::ranges::any_of(here, [&](const LocalRank& one) { return one.program != program; });
  const int rank = launcher_rank();
  const bool speaks = rank == 0 || (missing && launcher_place().rank == 0);
  const std::string said =
      waiting_text(rank, launcher_environment().ranks, host_name(), here, program, patience.count());
  if (speaks) tell("proctor: " + said);
  if (ended_.wait_until(lock, after(deadline), [&] { return over_; })) return;
  if (speaks)
    tell(error_line(errors,
                    "they have not come after " + std::to_string(std::lround(deadline.count())) +
                        " s (PROCTOR_START_DEADLINE), so this run ends; nothing was begun",
                    kEnvironment));
  _exit(kEnvironment);
}

}  // namespace proctor
