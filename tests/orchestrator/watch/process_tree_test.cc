#include "orchestrator/watch/process_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "tests/orchestrator/support/little_process.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

/// This run's own: others may run beside it.
std::string slot(const std::string& name) { return "tree-" + std::to_string(::getpid()) + "-" + name; }

TreeMarks marks_of(const LittleProcess& process, const std::string& slot = "") {
  return {read_process(process.pid())->id, slot, {}};
}

std::vector<Process> tree_now(const TreeMarks& marks) {
  ProcessTable processes;
  processes.walk();
  return find_tree(processes, marks);
}

/// Sorted, without pids.
Names names(const std::vector<Process>& tree) {
  Names names;
  for (const Process& process : tree) names.push_back(process.name);
  std::ranges::sort(names);
  return names;
}

/// The tree once it has these names.
std::vector<Process> tree_of(const TreeMarks& marks, const Names& expected) {
  std::vector<Process> tree;
  eventually([&] { return names(tree = tree_now(marks)) == expected; });
  EXPECT_EQ(names(tree), expected);
  return tree;
}

TEST(ProcessTree, of_one_process_is_that_process) {
  const LittleProcess process({"sleep", "60"});
  EXPECT_EQ(names(tree_now(marks_of(process))), Names{"sleep"});
}

TEST(ProcessTree, of_a_process_that_is_gone_is_empty) {
  LittleProcess process({"sleep", "60"}, slot("gone"));
  const TreeMarks marks = marks_of(process, slot("gone"));
  process.end();
  EXPECT_EQ(names(tree_now(marks)), Names{});
}

TEST(ProcessTree, a_zombie_is_not_in_it) {
  const LittleProcess process(shell("exit 0"));
  const TreeMarks marks = marks_of(process);
  EXPECT_TRUE(eventually([&] { return state_of(process.pid()) == 'Z'; }));
  EXPECT_EQ(names(tree_now(marks)), Names{});
}

TEST(ProcessTree, descends_by_parents_into_other_groups) {
  const LittleProcess process(shell("setsid env -i /bin/sh -c '/bin/sleep 60; exit 1' & wait"));
  const std::vector<Process> tree = tree_of(marks_of(process), {"sh", "sh", "sleep"});
  const auto in_group = [&](const Process& one) { return one.group == process.pid(); };
  EXPECT_EQ(std::ranges::count_if(tree, in_group), 1);
  for (const Process& one : tree) EXPECT_TRUE(kill_process(one.id));
}

TEST(ProcessTree, keeps_an_orphan_by_its_group) {
  const LittleProcess process(shell("(env -i /bin/sleep 60 &); exec cat"));
  (void)tree_of(marks_of(process), {"cat", "sleep"});
}

TEST(ProcessTree, keeps_an_orphan_by_its_group_when_the_first_process_is_reaped) {
  LittleProcess process(shell("(env -i /bin/sleep 60 &); exec cat"));
  const TreeMarks marks = marks_of(process);
  (void)tree_of(marks, {"cat", "sleep"});
  ::kill(process.pid(), SIGKILL);
  process.wait();
  (void)tree_of(marks, {"sleep"});
}

TEST(ProcessTree, a_group_that_a_later_process_leads_is_not_its_own) {
  const LittleProcess process({"sleep", "60"});
  TreeMarks marks = marks_of(process);
  marks.root.started -= 1;  // the number was another's
  EXPECT_EQ(names(tree_now(marks)), Names{});
}

TEST(ProcessTree, keeps_by_its_slot_what_has_left_parent_and_group) {
  LittleProcess process(shell("(setsid sleep 60 &); read go; exit 0"), slot("1"));
  const TreeMarks marks = marks_of(process, slot("1"));
  const std::vector<Process> tree = tree_of(marks, {"sh", "sleep"});
  process.go_on();
  process.wait();
  const std::vector<Process> left = tree_of(marks, {"sleep"});
  EXPECT_NE(left[0].group, process.pid());
  EXPECT_EQ(names(tree_now({marks.root, slot("2"), {}})), Names{});
  EXPECT_EQ(names(tree_now({marks.root, slot(""), {}})), Names{}) << "a beginning of its text";
  EXPECT_EQ(names(tree_now({marks.root, "", {}})), Names{}) << "none is not everybody's";
  EXPECT_TRUE(kill_process(left[0].id));
}

/// Its child leaves the group, and there waits for a line before it starts an orphan that knows nothing of it.
constexpr const char* kEscapes =
    "import os\n"
    "if os.fork() == 0:\n"
    "  os.setsid()\n"
    "  name('left')\n"
    "  os.read(0, 1)\n"
    "  if os.fork() == 0: os.execve('/bin/sleep', ['sleep', '60'], {})\n"
    "  os.read(0, 1)\n"
    "  os._exit(0)\n"
    "name('ready')\n"
    "os.wait()\n";

TEST(ProcessTree, keeps_what_was_seen_when_it_has_left_everything) {
  LittleProcess process(python(kEscapes), slot("3"));
  TreeMarks marks = marks_of(process, slot("3"));
  (void)tree_of(marks, {"left", "ready"});
  process.go_on();
  const std::vector<Process> tree = tree_of(marks, {"left", "ready", "sleep"});
  process.go_on();
  process.wait();
  EXPECT_EQ(names(tree_now(marks)), Names{}) << "there is nothing to know it by";
  for (const Process& one : tree) marks.seen.insert(one.id);
  const std::vector<Process> left = tree_of(marks, {"sleep"});
  ASSERT_EQ(left.size(), 1u);
  EXPECT_TRUE(kill_process(left[0].id));
}

TEST(ProcessTree, seen_is_the_process_and_not_its_number) {
  const LittleProcess process({"sleep", "60"}), other({"sleep", "60"});
  TreeMarks marks = marks_of(process);
  ProcessId earlier = marks_of(other).root;
  earlier.started -= 1;
  marks.seen.insert(earlier);
  EXPECT_EQ(tree_now(marks).size(), 1u);
}

TEST(ProcessTree, never_holds_this_process) {
  TreeMarks marks;
  marks.root = read_process(::getppid())->id;
  for (const Process& process : tree_now(marks)) EXPECT_NE(process.id.pid, ::getpid());
  marks.root = read_process(::getpid())->id;
  const LittleProcess child({"sleep", "60"});
  EXPECT_EQ(names(tree_now(marks)), Names{});
}

TEST(ProcessTree, processes_that_vanish_while_they_are_read_are_left_out) {
  const LittleProcess process(shell("while :; do /bin/true & /bin/true; wait; done"));
  const TreeMarks marks = marks_of(process);
  ProcessTable processes;
  std::size_t most = 0;
  EXPECT_TRUE(eventually([&] {
    processes.walk();
    const std::vector<Process> tree = find_tree(processes, marks);
    EXPECT_GE(measure(tree).processes, 1u);
    most = std::max(most, tree.size());
    return most > 2;
  }));
}

TEST(Measure, sums_what_the_processes_take) {
  const LittleProcess process(
      python("import subprocess, threading, time\n"
             "memory = bytearray(64 << 20)\n"
             "for i in range(0, len(memory), 4096): memory[i] = 1\n"
             "files = [open('/dev/null') for _ in range(20)]\n"
             "threading.Thread(target=time.sleep, args=(60,)).start()\n"
             "name('ready')\n"
             "subprocess.Popen(['/bin/sleep', '60']).wait()"));
  const std::vector<Process> tree = tree_of(marks_of(process), {"ready", "sleep"});
  const auto descriptors = [&] {
    std::ptrdiff_t sum = 0;
    for (const Process& one : tree) {
      const fs::directory_iterator open("/proc/" + std::to_string(one.id.pid) + "/fd");
      sum += std::distance(fs::begin(open), fs::end(open));
    }
    return sum;
  };
  EXPECT_GE(descriptors(), 26);
  TreeUse use;
  EXPECT_TRUE(eventually([&] { return (use = measure(tree)).descriptors == descriptors(); })) << "while sleep loads";
  EXPECT_EQ(use.processes, 2u);
  EXPECT_EQ(use.threads, 3u);
  EXPECT_GT(use.pss_bytes, std::uint64_t{64} << 20);
  EXPECT_LT(use.pss_bytes, std::uint64_t{96} << 20);
  EXPECT_EQ(measure({}).processes, 0u);
}

TEST(Measure, pages_that_processes_share_count_once) {
  const LittleProcess process(
      python("import mmap, os, time\n"
             "memory = mmap.mmap(-1, 64 << 20)\n"
             "for i in range(0, len(memory), 4096): memory[i] = 1\n"
             "for _ in range(3):\n"
             "  if os.fork() == 0:\n"
             "    for i in range(0, len(memory), 4096): memory[i]\n"
             "    name('child')\n"
             "    time.sleep(60)\n"
             "name('ready')\n"
             "time.sleep(60)"));
  const std::vector<Process> tree = tree_of(marks_of(process), {"child", "child", "child", "ready"});
  EXPECT_GT(measure(tree).pss_bytes, std::uint64_t{64} << 20);
  EXPECT_LT(measure(tree).pss_bytes, std::uint64_t{128} << 20);
}

TEST(Measure, pages_of_a_mapped_file_are_not_the_processes) {
  const LittleProcess process(
      python("import mmap, tempfile, time\n"
             "file = tempfile.TemporaryFile()\n"
             "file.write(bytes(64 << 20))\n"
             "file.flush()\n"
             "memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)\n"
             "for i in range(0, len(memory), 4096): memory[i]\n"
             "name('ready')\n"
             "time.sleep(60)"));
  EXPECT_LT(measure(tree_of(marks_of(process), {"ready"})).pss_bytes, std::uint64_t{48} << 20);
}

TEST(KillProcess, ends_the_one_that_is_meant_and_no_later_one_with_its_number) {
  LittleProcess process(shell("trap '' TERM; exec sleep 60"));
  const ProcessId id = marks_of(process).root;
  EXPECT_FALSE(kill_process({id.pid, id.started - 1}));
  EXPECT_TRUE(read_process(id.pid)->alive);
  EXPECT_TRUE(kill_process(id));
  process.wait();
  EXPECT_FALSE(kill_process(id));
}

}  // namespace
}  // namespace proctor
