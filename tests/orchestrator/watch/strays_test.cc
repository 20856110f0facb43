#include "orchestrator/watch/strays.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "orchestrator/watch/process_table.h"
#include "tests/orchestrator/support/little_process.h"

namespace proctor {
namespace {

using Pids = std::vector<pid_t>;

pid_t child_named(const std::string& name) {
  ProcessTable processes;
  processes.walk();
  for (const auto& [pid, process] : processes.all())
    if (process.parent == ::getpid() && process.name == name) return pid;
  return 0;
}

TEST(Strays, there_are_none_where_nothing_has_ended) {
  const LittleProcess process({"sleep", "60"});
  EXPECT_EQ(reap_strays([](pid_t) { return false; }), Pids{});
}

TEST(Strays, orphans_come_here_and_are_reaped_and_our_own_children_are_not) {
  ASSERT_TRUE(become_subreaper());
  const LittleProcess process(shell("(sleep 60 &); exec cat")), ended(shell("exit 3"));
  EXPECT_TRUE(eventually([&] { return !read_process(ended.pid())->alive; }));
  pid_t orphan = 0;
  ASSERT_TRUE(eventually([&] { return (orphan = child_named("sleep")) != 0; }));
  Pids asked;
  const auto ours = [&](pid_t pid) {
    asked.push_back(pid);
    return pid == process.pid() || pid == ended.pid();
  };
  EXPECT_EQ(reap_strays(ours), Pids{});
  EXPECT_EQ(asked, Pids{ended.pid()}) << "the others are alive";
  ::kill(orphan, SIGKILL);
  Pids reaped;
  EXPECT_TRUE(eventually([&] { return !(reaped = reap_strays(ours)).empty(); }));
  EXPECT_EQ(reaped, Pids{orphan});
  int status = 0;
  EXPECT_EQ(::waitpid(ended.pid(), &status, WNOHANG), ended.pid()) << "its status is kept";
  EXPECT_EQ(WEXITSTATUS(status), 3);
}

}  // namespace
}  // namespace proctor
