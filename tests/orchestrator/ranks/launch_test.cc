// What the launcher's environment says: ranks without a common world, heterogeneous jobs, idle nodes.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "orchestrator/ranks/launcher.h"
#include "orchestrator/ranks/start_watch.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr const char* kNames[] = {"OMPI_COMM_WORLD_SIZE",
                                  "PMI_SIZE",
                                  "SLURM_STEP_NUM_TASKS",
                                  "SLURM_STEP_ID",
                                  "SLURM_PROCID",
                                  "SLURM_HET_SIZE",
                                  "SLURM_JOB_NUM_NODES",
                                  "OMPI_COMM_WORLD_RANK",
                                  "OMPI_COMM_WORLD_LOCAL_RANK",
                                  "OMPI_COMM_WORLD_LOCAL_SIZE",
                                  "MPI_LOCALRANKID",
                                  "MPI_LOCALNRANKS",
                                  "PMIX_RANK",
                                  "PMI_RANK"};

class Launch : public testing::Test {
 protected:
  Launch() { clear(); }
  ~Launch() override { clear(); }
  static void clear() {
    for (const char* name : kNames) unsetenv(name);
  }
  static void set(const char* name, const char* value) { setenv(name, value, 1); }
  static std::string refusal(int world_size) {
    try {
      refuse_singletons(launcher_environment(), world_size);
    } catch (const EnvironmentError& error) {
      return error.what();
    }
    return "";
  }
};

TEST_F(Launch, srun_without_pmix_is_refused_and_one_task_speaks) {
  set("SLURM_STEP_ID", "0");
  set("SLURM_STEP_NUM_TASKS", "3");
  set("SLURM_PROCID", "2");
  EXPECT_NE(refusal(1).find("3 singletons (SLURM_STEP_NUM_TASKS=3"), std::string::npos);
  EXPECT_EQ(launcher_rank(), 2);
  EXPECT_EQ(refusal(3), "") << "with pmix there is a world of three";
}

TEST_F(Launch, the_mpirun_of_another_mpi_is_refused) {
  set("PMI_SIZE", "4");
  EXPECT_NE(refusal(1).find("4 singletons (PMI_SIZE=4"), std::string::npos);
}

TEST_F(Launch, mpirun_in_an_allocation_is_not_confused_by_the_step_of_its_daemons) {
  set("SLURM_STEP_ID", "4");
  set("SLURM_STEP_NUM_TASKS", "2");
  set("OMPI_COMM_WORLD_SIZE", "1");
  EXPECT_EQ(refusal(1), "");
}

TEST_F(Launch, the_place_on_a_node_is_told_by_each_launcher) {
  EXPECT_EQ(launcher_place().ranks, 1u);
  set("OMPI_COMM_WORLD_LOCAL_RANK", "2");
  set("OMPI_COMM_WORLD_LOCAL_SIZE", "3");
  EXPECT_EQ(launcher_place().rank, 2u);
  EXPECT_EQ(launcher_place().ranks, 3u);
}

TEST_F(Launch, without_a_launcher_one_rank_is_right) {
  EXPECT_EQ(refusal(1), "");
  EXPECT_EQ(idle_nodes(1), "");
}

TEST_F(Launch, a_heterogeneous_job_is_refused_by_name) {
  set("SLURM_HET_SIZE", "2");
  EXPECT_NE(refusal(3).find("heterogeneous Slurm job of 2 components"), std::string::npos);
}

TEST_F(Launch, idle_nodes_of_a_batch_job_are_told) {
  set("SLURM_JOB_NUM_NODES", "3");
  EXPECT_NE(idle_nodes(1).find("3 nodes and this run uses one"), std::string::npos);
  EXPECT_EQ(idle_nodes(3), "");
  set("SLURM_STEP_ID", "0");
  EXPECT_EQ(idle_nodes(1), "") << "somebody asked for a step of one";
}

/// /proc as three ranks of two jobs leave it: what is read of it, and no more.
class LocalRanks : public testing::Test {
 protected:
  LocalRanks() {
    process(40, "job", 1, "sleep");
    process(41, "job", 0, "proctor");
    process(50, "job", 0, "proctor-worker");  // which rank 0 started
    process(42, "other", 2, "proctor");
    process(43, "", 0, "sh");
    std::filesystem::create_directories(proc_ / "sys");
  }
  ~LocalRanks() override { std::filesystem::remove_all(proc_); }
  void process(int pid, const std::string& name_space, int rank, const std::string& program) {
    const auto folder = proc_ / std::to_string(pid);
    std::filesystem::create_directories(folder);
    std::ofstream file(folder / "environ", std::ios::binary);
    file << "PATH=/bin" << '\0';
    if (!name_space.empty()) file << "PMIX_NAMESPACE=" << name_space << '\0' << "PMIX_RANK=" << rank << '\0';
    std::filesystem::create_symlink("/bin/" + program, folder / "exe");
  }
  std::filesystem::path proc_ = std::filesystem::temp_directory_path() / ("proctor-proc-" + std::to_string(getpid()));
};

TEST_F(LocalRanks, are_read_from_the_environments_of_this_job) {
  EXPECT_EQ(local_ranks(proc_, "job"), (std::vector<LocalRank>{{0, 41, "proctor"}, {1, 40, "sleep"}}));
  EXPECT_EQ(local_ranks(proc_, "other"), (std::vector<LocalRank>{{2, 42, "proctor"}}));
  EXPECT_EQ(local_ranks(proc_ / "nowhere", "job"), std::vector<LocalRank>{});
}

TEST_F(LocalRanks, who_is_missing_is_named_and_who_cannot_be_seen_is_counted) {
  EXPECT_EQ(waiting_text(0, 4, "n1", local_ranks(proc_, "job"), "proctor", 30),
            "rank 0 of 4 on n1 has waited 30 s for the others to start (MPI_Init); here, rank 1 is pid 40 (sleep), and "
            "not proctor; 2 of them belong to other nodes: can proctor start there?");
  EXPECT_EQ(waiting_text(1, 1, "n1", {{0, 41, "proctor"}}, "proctor", 30),
            "rank 1 of 1 on n1 has waited 30 s for the others to start (MPI_Init)");
}

TEST_F(Launch, the_deadline_of_a_start_is_a_number_of_seconds) {
  EXPECT_EQ(start_deadline().count(), 600);
  setenv("PROCTOR_START_DEADLINE", "2.5", 1);
  EXPECT_EQ(start_deadline().count(), 2.5);
  for (const char* wrong : {"x", "0", "-1", "5s", "1e9", "nan"}) {
    setenv("PROCTOR_START_DEADLINE", wrong, 1);
    EXPECT_THROW((void)start_deadline(), UsageError) << wrong;
  }
  unsetenv("PROCTOR_START_DEADLINE");
}

}  // namespace
}  // namespace proctor
