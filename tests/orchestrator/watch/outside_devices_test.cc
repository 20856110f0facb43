// What a watch says of devices and of /dev/shm.
#include <gtest/gtest.h>

#include <filesystem>

#include "orchestrator/watch/outside_watch.h"
#include "tests/orchestrator/support/fake_nvml_file.h"
#include "tests/orchestrator/support/watched_process.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Ending = OutsideWatch::Ending;
using Names = std::vector<std::string>;
constexpr std::uint64_t kGiB = 1 << 30;

/// A guest on device 0, and what the driver says of it.
class OutsideDevicesTest : public testing::Test {
 protected:
  struct Listed {
    pid_t pid;
    std::uint64_t bytes;
  };
  void set(std::uint64_t used, const std::vector<Listed>& processes, std::uint64_t joules = 0) {
    std::string lines = "device GPU-a " + std::to_string(used) + " " + std::to_string(joules * 1000) + "\n";
    for (const Listed& one : processes)
      lines += "process " + std::to_string(one.pid) + " " + std::to_string(one.bytes) + "\n";
    file_.write(lines);
  }
  struct Bytes {
    std::optional<std::uint64_t> before, peak, after;
    bool of_tree;
    bool operator==(const Bytes&) const = default;
  };
  static Bytes bytes(const OutsideMeasures& measures) {
    return {measures.device_before, measures.device_peak, measures.device_after, measures.device_of_tree};
  }
  const FakeNvmlFile file_{"device GPU-a 0 0\n"};
  const DeviceLibrary library_{PROCTOR_FAKE_NVML};
  WatchedProcess guest_{{"sleep", "60"}, "0", library_};
  const pid_t pid_ = guest_.process().pid();
  static constexpr pid_t kStranger = 2'000'000'000;  // more than any pid here
};

TEST_F(OutsideDevicesTest, bytes_are_the_trees_where_the_driver_lists_it) {
  set(5 * kGiB, {{::getpid(), 5 * kGiB}}, 100);
  guest_.watch().open(guest_.now);
  set(8 * kGiB, {{::getpid(), 5 * kGiB}, {pid_, 3 * kGiB}}, 130);
  guest_.sample();
  set(7 * kGiB, {{::getpid(), 6 * kGiB}, {pid_, kGiB}}, 150);
  const OutsideMeasures measures = guest_.close();
  EXPECT_EQ(bytes(measures), (Bytes{0, 3 * kGiB, kGiB, true}));
  EXPECT_EQ(measures.energy_j, 50.0);
}

TEST_F(OutsideDevicesTest, a_tree_that_uses_none_has_none_where_all_that_are_listed_are_processes_here) {
  set(5 * kGiB, {{::getpid(), 5 * kGiB}});
  guest_.watch().open(guest_.now);
  EXPECT_EQ(bytes(guest_.close()), (Bytes{0, 0, 0, true}));
}

TEST_F(OutsideDevicesTest, bytes_are_the_devices_where_a_strangers_pid_is_listed) {
  set(5 * kGiB, {{kStranger, 5 * kGiB}, {::getpid(), 1}});
  guest_.watch().open(guest_.now);
  set(9 * kGiB, {{kStranger, 9 * kGiB}});
  guest_.sample();
  set(5 * kGiB, {});
  EXPECT_EQ(bytes(guest_.close()), (Bytes{5 * kGiB, 9 * kGiB, 5 * kGiB, false}));
}

TEST_F(OutsideDevicesTest, bytes_are_the_devices_where_nobody_is_listed) {
  set(kGiB, {});
  guest_.watch().open(guest_.now);
  set(4 * kGiB, {});
  guest_.sample();
  set(2 * kGiB, {});
  EXPECT_EQ(bytes(guest_.close()), (Bytes{kGiB, 4 * kGiB, 2 * kGiB, false}));
}

TEST_F(OutsideDevicesTest, bytes_are_the_devices_where_processes_are_not_listed_once) {
  set(kGiB, {{pid_, kGiB}});
  guest_.watch().open(guest_.now);
  file_.write("device GPU-a 7 0\nprocesses -\n");
  guest_.sample();
  set(2 * kGiB, {{pid_, kGiB}});
  EXPECT_EQ(bytes(guest_.close()), (Bytes{kGiB, 2 * kGiB, 2 * kGiB, false}));
}

TEST_F(OutsideDevicesTest, waits_for_a_driver_that_frees_late) {
  set(0, {});
  guest_.watch().open(guest_.now);
  set(3 * kGiB, {{pid_, 3 * kGiB}});
  guest_.sample();
  guest_.watch().closing(Ending::visit, guest_.now);
  EXPECT_FALSE(guest_.watch().settle(guest_.now));
  set(1 << 20, {{pid_, 1 << 20}});
  EXPECT_FALSE(guest_.watch().settle(guest_.now += Moment(0.01))) << "it looks 20 times a second";
  const auto measures = guest_.watch().settle(guest_.now += Moment(0.05));
  ASSERT_TRUE(measures);
  EXPECT_EQ(bytes(*measures), (Bytes{0, 3 * kGiB, 1 << 20, true}));
}

TEST_F(OutsideDevicesTest, bytes_of_a_process_that_was_killed_are_its_trees_until_they_are_freed) {
  set(kGiB, {{pid_, kGiB}});
  guest_.watch().open(guest_.now);
  guest_.process().end();
  guest_.watch().closing(Ending::guest, guest_.now);
  set(3 * kGiB, {{pid_, 3 * kGiB}});
  EXPECT_FALSE(guest_.watch().settle(guest_.now));
  EXPECT_EQ(bytes(guest_.settle_late(Ending::guest)), (Bytes{kGiB, 3 * kGiB, 3 * kGiB, true}));
}

TEST_F(OutsideDevicesTest, energy_that_began_again_is_not_known) {
  set(0, {}, 100);
  guest_.watch().open(guest_.now);
  set(0, {}, 7);
  EXPECT_FALSE(guest_.close().energy_j);
}

class OutsideSharedTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_.path / name).string(); }
  std::string entry(const std::string& name) const { return path(name) + " (3 bytes)"; }
  std::string write(const std::string& name) const { return "printf abc >" + path(name) + "; "; }
  const TemporaryFolder folder_{"outside-shared"};
  const DeviceLibrary library_{"libnothing-of-this-name.so.1"};
};

TEST_F(OutsideSharedTest, what_a_child_held_is_removed_with_it) {
  WatchedProcess guest(shell("read go; (exec 3>" + path("psm_1") + "; printf abc >&3; exec sleep 60) & exec cat"), "",
                       library_, folder_.path.string());
  guest.open_and_go_on();
  guest.wait_for({"cat", "sleep"});
  guest.sample();
  const OutsideMeasures measures = guest.close();
  EXPECT_EQ(without_pids(measures.left), Names{"sleep"});
  EXPECT_EQ(measures.shared_left, Names{entry("psm_1")});
  EXPECT_FALSE(fs::exists(path("psm_1")));
}

TEST_F(OutsideSharedTest, what_the_guest_holds_stays_until_it_ends) {
  WatchedProcess guest(shell("read go; exec 3>" + path("psm_1") + "; printf abc >&3; exec cat"), "", library_,
                       folder_.path.string());
  guest.open_and_go_on();
  guest.wait_for({"cat"});
  EXPECT_EQ(guest.close().shared_left, Names{});
  guest.process().end();
  EXPECT_EQ(guest.close(Ending::guest).shared_left, Names{entry("psm_1")});
}

TEST_F(OutsideSharedTest, only_of_a_guest_alone_is_removed_what_no_look_saw) {
  for (const bool alone : {false, true})
    for (const bool joined : {false, true}) {
      WatchedProcess guest(shell("read go; " + write("psm_1") + "exec cat"), "", library_, folder_.path.string(),
                           alone);
      guest.open_and_go_on();
      guest.wait_for({"cat"});
      if (joined) guest.watch().another_guest_started();
      EXPECT_EQ(guest.close().shared_left, alone && !joined ? Names{entry("psm_1")} : Names{});
      EXPECT_EQ(fs::exists(path("psm_1")), !alone || joined);
      fs::remove(path("psm_1"));
    }
}

}  // namespace
}  // namespace proctor
