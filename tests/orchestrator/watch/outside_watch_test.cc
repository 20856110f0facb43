#include "orchestrator/watch/outside_watch.h"

#include <gtest/gtest.h>

#include "tests/orchestrator/support/watched_process.h"

namespace proctor {
namespace {

using Ending = OutsideWatch::Ending;
using Names = std::vector<std::string>;

TEST(OutsideWatch, measures_a_visit_that_leaves_nothing) {
  WatchedProcess guest(shell("read go; sleep 60 & read go; kill $!; wait; read go"));
  EXPECT_TRUE(eventually([&] { return state_of(guest.process().pid()) == 'S'; }));
  guest.watch().open(guest.now);
  guest.process().go_on();
  guest.wait_for({"sh", "sleep"});
  guest.sample();
  guest.process().go_on();
  guest.wait_for({"sh"});
  const OutsideMeasures measures = guest.close_at_once();
  EXPECT_EQ(measures.processes_before, 1u);
  EXPECT_EQ(measures.processes_peak, 2u);
  EXPECT_EQ(measures.processes_after, 1u);
  EXPECT_EQ(measures.threads_before, 1u);
  EXPECT_EQ(measures.threads_after, 1u);
  EXPECT_GE(measures.descriptors_before, 3u);
  EXPECT_EQ(measures.descriptors_after, measures.descriptors_before);
  EXPECT_GT(measures.pss_before, 0u);
  EXPECT_GE(measures.pss_peak, std::max(measures.pss_before, measures.pss_after));
  EXPECT_EQ(measures.left, Names{});
  EXPECT_EQ(measures.shared_left, Names{});
  EXPECT_FALSE(measures.device_before || measures.device_peak || measures.device_after || measures.energy_j);
  EXPECT_FALSE(measures.device_of_tree || measures.warmed_up);
  EXPECT_FALSE(guest.watch().settle(guest.now += Moment(9))) << "it is told once";
}

TEST(OutsideWatch, sees_what_a_visit_keeps) {
  WatchedProcess guest(
      python("import sys, threading, time\n"
             "name('ready')\n"
             "sys.stdin.readline()\n"
             "kept = bytearray(32 << 20)\n"
             "for i in range(0, len(kept), 4096): kept[i] = 1\n"
             "files = [open('/dev/null') for _ in range(7)]\n"
             "threading.Thread(target=time.sleep, args=(60,)).start()\n"));
  guest.wait_for({"ready"});
  EXPECT_TRUE(eventually([&] { return state_of(guest.process().pid()) == 'S'; }));
  guest.open_and_go_on();
  EXPECT_TRUE(eventually([&] { return read_process(guest.process().pid())->threads == 2; }));
  const OutsideMeasures first = guest.close();
  EXPECT_EQ(first.threads_after, first.threads_before + 1);
  EXPECT_EQ(first.descriptors_after, first.descriptors_before + 7);
  EXPECT_GT(first.pss_after, first.pss_before + (30 << 20));
  guest.watch().open(guest.now);
  const OutsideMeasures second = guest.close();
  EXPECT_TRUE(second.warmed_up);
  EXPECT_EQ(second.threads_before, first.threads_after) << "what the first visit left is the second's baseline";
  EXPECT_EQ(second.pss_before, first.pss_after);
}

TEST(OutsideWatch, looks_once_a_second) {
  for (const auto& [at, peak] : {std::pair{0.99, 1u}, {1.0, 2u}}) {
    WatchedProcess guest(shell("read go; sleep 60 & read go; kill $!; wait; exec cat"));
    guest.open_and_go_on();
    guest.wait_for({"sh", "sleep"});
    guest.watch().sample(guest.now + Moment(at));
    guest.process().go_on();
    guest.wait_for({"cat"});
    EXPECT_EQ(guest.close().processes_peak, peak) << at;
  }
}

TEST(OutsideWatch, waits_two_seconds_for_children_and_then_ends_them) {
  WatchedProcess guest(shell("read go; sleep 60 & (trap '' TERM; setsid sleep 60 &) ; exec cat"));
  guest.open_and_go_on();
  guest.wait_for({"cat", "sleep", "sleep"});
  const Moment closed = guest.now;
  guest.watch().closing(Ending::visit, closed);
  EXPECT_FALSE(guest.watch().settle(closed));
  EXPECT_FALSE(guest.watch().settle(closed + Moment(1.9)));
  guest.wait_for({"cat", "sleep", "sleep"});
  const OutsideMeasures measures = guest.settle_late();
  EXPECT_EQ(without_pids(measures.left), (Names{"sleep", "sleep"}));
  EXPECT_EQ(measures.processes_after, 3u);
  guest.wait_for({"cat"});
  guest.watch().open(guest.now);
  const OutsideMeasures next = guest.close();
  EXPECT_EQ(next.processes_before, 1u) << "the baseline is what is here after they were ended";
  EXPECT_EQ(next.left, Names{});
}

TEST(OutsideWatch, names_what_it_ended) {
  WatchedProcess guest(shell("read go; sleep 60 & exec cat"));
  guest.open_and_go_on();
  guest.wait_for({"cat", "sleep"});
  ProcessTable processes;
  processes.walk();
  pid_t child = 0;
  for (const auto& [pid, process] : processes.all())
    if (process.parent == guest.process().pid()) child = pid;
  EXPECT_EQ(guest.close().left, Names{"sleep (" + std::to_string(child) + ")"});
}

TEST(OutsideWatch, children_of_the_baseline_stay_while_the_guest_does) {
  WatchedProcess guest(shell("sleep 60 & read go; sleep 60 & exec cat"));
  guest.wait_for({"sh", "sleep"});
  guest.open_and_go_on();
  guest.wait_for({"cat", "sleep", "sleep"});
  EXPECT_EQ(without_pids(guest.close().left), Names{"sleep"});
  guest.wait_for({"cat", "sleep"});
  EXPECT_EQ(without_pids(guest.close(Ending::guest).left), Names{"sleep"}) << "the guest itself is not named";
  guest.wait_for({});
}

TEST(OutsideWatch, a_child_that_comes_after_a_visit_is_the_next_ones) {
  WatchedProcess guest(shell("read go; sleep 60 & exec cat"));
  guest.watch().open(guest.now);
  EXPECT_EQ(guest.close().left, Names{});
  guest.process().go_on();
  guest.wait_for({"cat", "sleep"});
  guest.watch().open(guest.now);
  EXPECT_EQ(without_pids(guest.close().left), Names{"sleep"});
}

TEST(OutsideWatch, a_guest_whose_children_end_with_it_leaves_nothing) {
  WatchedProcess guest(
      python("import os, sys\n"
             "down, up = os.pipe()\n"
             "if os.fork() == 0:\n"
             "  os.close(up)\n"
             "  name('child')\n"
             "  os.read(down, 1)\n"
             "  os._exit(0)\n"
             "name('ready')\n"
             "sys.stdin.readline()\n"));
  guest.wait_for({"child", "ready"});
  guest.watch().open(guest.now);
  guest.watch().closing(Ending::guest, guest.now);
  EXPECT_FALSE(guest.watch().settle(guest.now)) << "they have time";
  guest.process().go_on();
  guest.process().wait();
  guest.wait_for({});
  const auto measures = guest.watch().settle(guest.now += Moment(1));
  ASSERT_TRUE(measures);
  EXPECT_EQ(measures->left, Names{});
  EXPECT_EQ(measures->processes_before, 2u);
  EXPECT_EQ(measures->processes_after, 0u);
  EXPECT_EQ(measures->pss_after, 0u);
}

TEST(OutsideWatch, ends_what_a_guest_leaves_when_it_is_gone_and_reaped) {
  WatchedProcess guest(shell("(setsid sleep 60 &); (env -i /bin/sleep 60 &); read go; exit 0"));
  guest.wait_for({"sh", "sleep", "sleep"});
  guest.watch().open(guest.now);
  guest.process().go_on();
  guest.process().wait();
  guest.wait_for({"sleep", "sleep"});
  EXPECT_EQ(without_pids(guest.close(Ending::guest).left), (Names{"sleep", "sleep"}));
  guest.wait_for({});
}

TEST(OutsideWatch, ends_what_has_left_everything_if_a_sample_saw_it) {
  WatchedProcess guest(
      python("import os\n"
             "if os.fork() == 0:\n"
             "  os.setsid()\n"
             "  name('left')\n"
             "  os.read(0, 1)\n"
             "  if os.fork() == 0: os.execve('/bin/sh', ['sh', '-c', \"trap '' TERM; exec sleep 60\"], {})\n"
             "  os.read(0, 1)\n"
             "  os._exit(0)\n"
             "name('ready')\n"
             "os.wait()\n"));
  guest.wait_for({"left", "ready"});
  guest.open_and_go_on();
  guest.wait_for({"left", "ready", "sleep"});
  guest.sample();
  guest.process().go_on();
  guest.process().wait();
  guest.wait_for({});  // who has not seen it finds nothing
  EXPECT_EQ(without_pids(guest.close(Ending::guest).left), Names{"sleep"});
}

TEST(OutsideWatch, sweeps_until_nobody_starts_another) {
  WatchedProcess guest(shell("(while :; do sleep 60 & sleep 0.01; done) & exec cat"));
  EXPECT_TRUE(eventually([&] {
    ProcessTable processes;
    processes.walk();
    return find_tree(processes, {read_process(guest.process().pid())->id, "", {}}).size() > 6;
  }));
  const OutsideWatch::Swept swept = guest.watch().sweep(Ending::visit);
  EXPECT_GT(swept.killed.size(), 4u);
  guest.wait_for({"cat"});
  EXPECT_TRUE(guest.watch().sweep(Ending::visit).gone);
  EXPECT_EQ(guest.watch().sweep(Ending::visit).killed, Names{});
}

TEST(OutsideWatch, sweeps_again_what_the_guest_starts_meanwhile_but_not_without_end) {
  WatchedProcess guest(shell("while :; do sleep 60; done"));
  EXPECT_TRUE(eventually([&] { return guest.watch().sweep(Ending::visit).killed.size() > 1; }));
  EXPECT_TRUE(read_process(guest.process().pid())->alive);
}

TEST(OutsideWatch, sweeps_the_guest_too_when_it_is_to_end) {
  WatchedProcess guest(shell("trap '' TERM; sleep 60 & read go"));
  guest.wait_for({"sh", "sleep"});
  EXPECT_EQ(without_pids(guest.watch().sweep(Ending::guest).killed), Names{"sleep"});
  guest.process().wait();
  guest.wait_for({});
}

TEST(OutsideWatch, another_guest_is_not_touched) {
  const LittleProcess other(shell("sleep 60 & read go"), "another-guest");
  WatchedProcess guest(shell("sleep 60 & read go"));
  guest.wait_for({"sh", "sleep"});
  guest.watch().open(guest.now);
  EXPECT_EQ(guest.watch().sweep(Ending::guest).killed.size(), 1u);
  EXPECT_TRUE(read_process(other.pid())->alive);
}

TEST(OutsideWatch, a_guest_that_is_gone_before_it_is_watched_is_measured_as_nothing) {
  ProcessTable processes;
  const DeviceLibrary none("libnothing-of-this-name.so.1");
  LittleProcess process(shell("exit 1"));
  process.wait();
  OutsideWatch watch({process.pid(), "gone-guest", "", false, "/nowhere"}, processes, none);
  watch.closing(Ending::guest, Moment(1));
  EXPECT_EQ(watch.settle(Moment(1)), OutsideMeasures{});
}

}  // namespace
}  // namespace proctor
