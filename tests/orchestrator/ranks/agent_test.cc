#include "orchestrator/ranks/agent.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "orchestrator/base/machine.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/wire.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

TEST(WorkerEnvironment, leaves_out_launchers_and_what_changes_arithmetic) {
  const char* environment[] = {"PATH=/bin",       "OMPI_COMM_WORLD_RANK=1", "PMIX_RANK=1",
                               "SLURM_STEP_ID=0", "SLURM_JOB_ID=5",         "OMP_NUM_THREADS=9",
                               "MKL_CBWR=x",      "NVIDIA_TF32_OVERRIDE=1", "NCCL_COMM_ID=x",
                               "NCCL_DEBUG=INFO", "LD_LIBRARY_PATH=/l",     nullptr};
  EXPECT_EQ(worker_environment(environment),
            (std::vector<std::string>{"PATH=/bin", "SLURM_JOB_ID=5", "NCCL_DEBUG=INFO", "LD_LIBRARY_PATH=/l"}));
}

constexpr std::chrono::seconds kLong{60};

TEST(RunCommand, gives_output_error_and_status) {
  const CommandResult result = run_command({"/bin/sh", "-c", "echo out; echo err >&2; exit 3"}, kLong);
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.output, "out\n");
  EXPECT_EQ(result.error, "err\n");
  EXPECT_EQ(run_command({"/bin/sh", "-c", "kill -9 $$"}, kLong).status, 137);
}

TEST(RunCommand, a_question_is_asked_again_if_its_process_is_killed) {
  const fs::path asked = fs::temp_directory_path() / ("proctor-asked-" + std::to_string(::getpid()));
  const std::string ask = "echo >>" + asked.string() + "; [ $(wc -l <" + asked.string() + ") -lt ";
  EXPECT_EQ(ask_command({"/bin/sh", "-c", ask + "3 ] && kill -9 $$; echo answer"}, kLong).output, "answer\n");
  EXPECT_EQ(ask_command({"/bin/sh", "-c", ask + "99 ] && kill -9 $$; echo answer"}, kLong).status, 137)
      << "but not for ever";
  fs::remove(asked);
}

TEST(RunCommand, one_that_hangs_is_killed_at_its_deadline) {
  const std::chrono::milliseconds soon(20);
  const auto refusal = [&](const std::string& script) -> std::string {
    try {
      (void)ask_command({"/bin/sh", "-c", script}, soon);
    } catch (const EnvironmentError& error) {
      return error.what();
    }
    return "none";
  };
  const std::string expected =
      "/bin/sh -c: no answer after 0.02 s (deadlines.load), so it was killed; does a file system or a driver hang?";
  EXPECT_EQ(refusal("kill -STOP $$"), expected) << "one that says nothing";
  EXPECT_EQ(refusal("exec >&-; kill -STOP $$"), expected) << "one that has said all and does not end";
}

/// An agent over a worker that is a shell script, so that every ending can be had at once.
class AgentTest : public testing::Test {
 protected:
  AgentTest() { fs::create_directories(root_); }
  ~AgentTest() override { fs::remove_all(root_); }
  Agent agent(const std::string& script) {
    const fs::path binary = root_ / "worker";
    std::ofstream(binary) << "#!/bin/sh\n" << script;
    fs::permissions(binary, fs::perms::owner_all);
    return Agent(binary.string(), place_, [this](AgentReport report) { reports_.push_back(std::move(report)); });
  }
  template <class Report>
  const Report* wait_for(Agent& agent) {
    for (int i = 0; i < 10000; ++i) {
      for (const AgentReport& report : reports_)
        if (const auto* found = std::get_if<Report>(&report)) return found;
      agent.poll(10);
    }
    return nullptr;
  }
  static constexpr const char* kProbe =
      "if [ \"$1\" = probe ]; then echo "
      "'{\"kind\":\"cpu\",\"count\":1,\"bytes\":1,\"instruction_set\":\"x\",\"torch_version\":\"t\","
      "\"nccl_version\":\"\",\"cuda_driver\":\"\",\"numerics\":\"n\",\"numa_nodes\":[-1]}'; exit 0; fi\n";
  fs::path root_ = fs::temp_directory_path() / ("proctor-agent-" + std::to_string(::getpid()));
  std::vector<AgentReport> reports_;
  NodePlace place_;
};

TEST_F(AgentTest, several_ranks_of_its_node_need_a_number_of_workers) {
  place_ = {1, 3};
  Agent one = agent(kProbe);
  one.handle(Configure{"cpu", 0, 1, 0, 1, root_.string()});
  const auto* failed = wait_for<AgentFailed>(one);
  ASSERT_TRUE(failed);
  EXPECT_NE(failed->message.find(" has 3 ranks, so 'auto' cannot tell"), std::string::npos) << failed->message;
}

TEST_F(AgentTest, more_threads_than_any_node_has_are_refused) {
  Agent one = agent(kProbe);
  one.handle(Configure{"cpu", 1, 1 << 20, 0, 1, root_.string()});
  const auto* failed = wait_for<AgentFailed>(one);
  ASSERT_TRUE(failed);
  EXPECT_NE(failed->message.find("at most 8 threads a core"), std::string::npos) << failed->message;
}

TEST_F(AgentTest, says_hello_with_its_slots) {
  Agent one = agent(kProbe);
  one.handle(Configure{"cpu", 3, 1, 0, 1, root_.string()});
  const auto* hello = wait_for<AgentHello>(one);
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->slots, 3u);
  EXPECT_EQ(hello->facts.numerics, "n");
}

TEST_F(AgentTest, says_which_modules_its_node_has_not_got) {
  Agent one = agent(kProbe);
  Configure order{"cpu", 1, 1, 0, 1, root_.string()};
  fs::create_directories(root_ / "empty");
  order.module_paths = {(root_ / "nowhere").string(), (root_ / "worker").string(), (root_ / "empty").string()};
  one.handle(order);
  const auto* hello = wait_for<AgentHello>(one);
  ASSERT_TRUE(hello);
  ASSERT_EQ(hello->lacking.size(), 2u);
  EXPECT_EQ(hello->lacking[0].module, ModuleId{0});
  EXPECT_EQ(hello->lacking[0].why, (root_ / "nowhere").string() + ": is not there");
  EXPECT_EQ(hello->lacking[1].module, ModuleId{2});
  EXPECT_EQ(hello->lacking[1].why, (root_ / "empty").string() + ": is an empty folder");
}

TEST_F(AgentTest, passes_on_why_its_node_cannot_take_part) {
  Agent one = agent("echo 'driver too old' >&2; exit 4\n");
  one.handle(Configure{"cuda", 1, 1, 0, 1, root_.string()});
  const auto* failed = wait_for<AgentFailed>(one);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->message, "driver too old\n");
}

TEST_F(AgentTest, a_probe_that_hangs_is_no_wait_without_end) {
  Agent one = agent("kill -STOP $$\n");
  one.handle(Configure{"cuda", 1, 1, 0, 1, root_.string(), 150, 0.02});
  const auto* failed = wait_for<AgentFailed>(one);
  ASSERT_TRUE(failed);
  EXPECT_NE(failed->message.find("probe: no answer after 0.02 s"), std::string::npos) << failed->message;
}

TEST_F(AgentTest, tells_how_a_worker_died_and_keeps_its_words_in_the_log) {
  Agent one = agent(std::string(kProbe) + "echo last words >&2; kill -11 $$\n");
  one.handle(Configure{"cpu", 1, 1, 0, 1, root_.string()});
  one.handle(StartWorker{0, 1});
  const auto* exited = wait_for<WorkerExited>(one);
  ASSERT_TRUE(exited);
  EXPECT_EQ(exited->by, EndedBy::itself);
  EXPECT_EQ(exited->how, "signal 11 (Segmentation fault)");
  std::ifstream log(root_ / ("worker-" + host_name() + "-0.log"));
  std::string line;
  std::getline(log, line);
  EXPECT_EQ(line, "last words");
}

TEST_F(AgentTest, a_killed_worker_is_gone_before_the_next_starts) {
  Agent one = agent(std::string(kProbe) + "exec sleep 1000\n");
  one.handle(Configure{"cpu", 1, 1, 0, 1, root_.string()});
  one.handle(StartWorker{0, 1});
  one.handle(KillWorker{0});
  one.handle(StartWorker{0, 2});
  const auto* exited = wait_for<WorkerExited>(one);
  ASSERT_TRUE(exited);
  EXPECT_EQ(exited->by, EndedBy::order);
  EXPECT_EQ(exited->incarnation, 1u);
  one.handle(KillWorker{0});
  for (int i = 0;
       i < 10000 && std::ranges::count_if(
                        reports_, [](const AgentReport& r) { return std::holds_alternative<WorkerExited>(r); }) < 2;
       ++i)
    one.poll(10);
  EXPECT_EQ(std::get<WorkerExited>(reports_.back()).incarnation, 2u);
}

TEST_F(AgentTest, a_sigkill_that_nobody_here_sent_came_from_outside) {
  Agent one = agent(std::string(kProbe) + "kill -9 $$\n");
  one.handle(Configure{"cpu", 1, 1, 0, 1, root_.string()});
  one.handle(StartWorker{0, 1});
  const auto* exited = wait_for<WorkerExited>(one);
  ASSERT_TRUE(exited);
  EXPECT_EQ(exited->by, EndedBy::outside);
}

TEST_F(AgentTest, holds_progress_back_until_the_next_beat_but_not_behind_other_news) {
  const auto frame = [](const WorkerReport& report) {
    std::string octal;
    for (unsigned char c : proctor::frame(encode(report))) {
      char text[8];
      std::snprintf(text, sizeof text, "\\%03o", c);
      octal += text;
    }
    return "printf '" + octal + "' >&3\n";
  };
  const auto progress = [](std::uint64_t n) { return WorkerReport(Progress{VisitId{1}, "unit", n}); };
  Agent one =
      agent(std::string(kProbe) + frame(progress(1)) + frame(progress(2)) + frame(progress(3)) +
            frame(WorkerReport(Waiting{VisitId{1}})) + frame(progress(4)) + frame(progress(5)) + "exec sleep 1000\n");
  one.handle(Configure{"cpu", 1, 1, 0, 1, root_.string()});
  one.handle(StartWorker{0, 1});
  const auto said = [&] {
    std::vector<std::string> out;
    for (const AgentReport& report : reports_)
      if (const auto* from = std::get_if<FromWorker>(&report)) {
        const WorkerReport body = decode_worker_report(from->frame);
        const auto* news = std::get_if<Progress>(&body);
        out.push_back(news ? std::to_string(news->counter) : "waiting");
      }
    return out;
  };
  for (int i = 0; i < 10000 && said().size() < 3; ++i) one.poll(10);
  EXPECT_EQ(said(), (std::vector<std::string>{"1", "3", "waiting"}))
      << "the first at once, the latest before other news";
  std::vector<FromWorker> held;
  for (int i = 0; i < 10000 && held.empty(); ++i) {
    one.poll(10);
    held = one.take_progress();
  }
  ASSERT_EQ(held.size(), 1u);
}

}  // namespace
}  // namespace proctor
