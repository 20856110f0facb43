#include "orchestrator/watch/process_table.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/orchestrator/support/little_process.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

TEST(ReadProcess, knows_this_one) {
  const std::optional<Process> process = read_process(::getpid());
  ASSERT_TRUE(process);
  EXPECT_EQ(process->id.pid, ::getpid());
  EXPECT_EQ(process->parent, ::getppid());
  EXPECT_EQ(process->group, ::getpgrp());
  EXPECT_TRUE(process->alive);
  EXPECT_GT(process->id.started, 0u);
  EXPECT_EQ(read_process(::getpid())->id, process->id);
  EXPECT_FALSE(read_process(2'000'000'000));
}

TEST(ReadProcess, a_name_may_hold_anything) {
  const TemporaryFolder folder("odd-name");
  const fs::path odd = folder.path / "a) R (b\n\xff";
  fs::copy_file("/bin/sleep", odd);
  const LittleProcess process({odd.string(), "60"});
  const std::optional<Process> read = read_process(process.pid());
  ASSERT_TRUE(read);
  EXPECT_EQ(text_of(*read), "a) R (b?? (" + std::to_string(process.pid()) + ")");
  EXPECT_EQ(read->parent, ::getpid());
  EXPECT_EQ(read->group, process.pid());
}

TEST(ReadProcess, a_zombie_is_not_alive_and_one_whose_first_thread_has_ended_is) {
  const LittleProcess ended(shell("exit 0"));
  EXPECT_TRUE(eventually([&] { return !read_process(ended.pid())->alive; }));
  const LittleProcess headless(
      python("import ctypes, threading, time\n"
             "threading.Thread(target=time.sleep, args=(60,)).start()\n"
             "ctypes.CDLL(None).syscall(60, 0)"));  // exit, of one thread
  EXPECT_TRUE(eventually([&] { return state_of(headless.pid()) == 'Z'; }));
  EXPECT_TRUE(read_process(headless.pid())->alive);
}

TEST(ProcessTable, guests_that_are_sampled_together_share_a_walk) {
  ProcessTable processes;
  processes.walk_at(Moment(1));
  const LittleProcess process({"sleep", "60"});
  processes.walk_at(Moment(1));
  EXPECT_FALSE(processes.all().contains(process.pid()));
  processes.walk_at(Moment(2));
  EXPECT_TRUE(processes.all().contains(process.pid()));
}

TEST(ProcessTable, an_environment_that_was_read_is_kept) {
  const std::string slot = "table-" + std::to_string(::getpid());
  const LittleProcess process(shell("read go; exec env -i /bin/sleep 60"), slot);
  ProcessTable processes, fresh;
  processes.walk();
  EXPECT_EQ(processes.all().at(process.pid()).slot, slot);
  process.go_on();
  EXPECT_TRUE(eventually([&] {
    fresh.walk();
    return fresh.all().at(process.pid()).name == "sleep";
  }));
  processes.walk();
  EXPECT_EQ(processes.all().at(process.pid()).name, "sleep");
  EXPECT_EQ(processes.all().at(process.pid()).slot, slot);
}

}  // namespace
}  // namespace proctor
