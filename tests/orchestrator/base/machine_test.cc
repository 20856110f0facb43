#include "orchestrator/base/machine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace proctor {
namespace {

namespace fs = std::filesystem;

/// A tree of control groups, and an environment.
class ShareTest : public testing::Test {
 protected:
  ShareTest() { fs::create_directories(root_); }
  ~ShareTest() override { fs::remove_all(root_); }
  void write(const std::string& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text << "\n";
  }
  Share share() {
    return share_of_machine({(root_ / "cgroup").string(), (root_ / "own").string(), [this](const char* name) {
                               const auto found = environment_.find(name);
                               return found == environment_.end() ? nullptr : found->second.c_str();
                             }});
  }
  std::map<std::string, std::string> environment_;
  fs::path root_ = fs::temp_directory_path() / ("proctor-share-" + std::to_string(::getpid()));
};

constexpr std::uint64_t kMiB = 1 << 20;

TEST_F(ShareTest, nothing_is_said_without_limits) {
  EXPECT_FALSE(share().memory_bytes);
  EXPECT_FALSE(share().cores);
  write("own", "0::/job/step");
  write("cgroup/job/memory.max", "max");
  write("cgroup/job/cpu.max", "max 100000");
  EXPECT_FALSE(share().memory_bytes);
  EXPECT_FALSE(share().cores);
}

TEST_F(ShareTest, the_least_limit_along_the_own_path_counts) {
  write("own", "0::/slurm/job/step");
  write("cgroup/slurm/memory.max", std::to_string(4000 * kMiB));
  write("cgroup/slurm/job/memory.max", std::to_string(1000 * kMiB));
  write("cgroup/slurm/job/step/memory.max", "max");
  write("cgroup/slurm/job/cpu.max", "250000 100000");
  write("cgroup/elsewhere/memory.max", "1");
  EXPECT_EQ(share().memory_bytes, 1000 * kMiB);
  EXPECT_EQ(share().cores, 2u) << "two and a half";
  write("cgroup/slurm/cpu.max", "50000 100000");
  EXPECT_EQ(share().cores, 1u) << "half of one";
}

TEST_F(ShareTest, controllers_of_version_1_have_paths_of_their_own) {
  write("own", "11:memory:/a/b\n4:cpu,cpuacct:/c\n1:name=systemd:/d");
  write("cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
  write("cgroup/memory/a/memory.limit_in_bytes", std::to_string(500 * kMiB));
  write("cgroup/cpu/c/cpu.cfs_quota_us", "400000");
  write("cgroup/cpu/c/cpu.cfs_period_us", "100000");
  EXPECT_EQ(share().memory_bytes, 500 * kMiB);
  EXPECT_EQ(share().cores, 4u);
  write("cgroup/cpu/c/cpu.cfs_quota_us", "-1");
  EXPECT_FALSE(share().cores);
}

TEST_F(ShareTest, a_containers_root_counts_where_the_path_is_the_hosts) {
  write("own", "0::/docker/0123");
  write("cgroup/memory.max", std::to_string(300 * kMiB));
  EXPECT_EQ(share().memory_bytes, 300 * kMiB);
}

TEST_F(ShareTest, slurm_says_it_by_node_by_core_or_by_gpu) {
  environment_ = {{"SLURM_MEM_PER_NODE", "2000"}, {"SLURM_CPUS_ON_NODE", "3"}};
  EXPECT_EQ(share().memory_bytes, 2000 * kMiB);
  EXPECT_EQ(share().cores, 3u);
  environment_ = {{"SLURM_MEM_PER_CPU", "500"}, {"SLURM_CPUS_ON_NODE", "3"}};
  EXPECT_EQ(share().memory_bytes, 1500 * kMiB);
  environment_ = {{"SLURM_MEM_PER_GPU", "700"}, {"SLURM_GPUS_ON_NODE", "2"}};
  EXPECT_EQ(share().memory_bytes, 1400 * kMiB);
  environment_ = {{"SLURM_MEM_PER_NODE", "0"}};
  EXPECT_FALSE(share().memory_bytes) << "0 is all of the node";
}

}  // namespace
}  // namespace proctor
