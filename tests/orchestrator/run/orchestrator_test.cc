// Rank 0's loop and its ways out, over agents in virtual time, a real store and a real directory. No MPI, no workers.
#include "orchestrator/run/orchestrator.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "orchestrator/base/exit_code.h"
#include "orchestrator/store/store_fault_hook.h"
#include "tests/orchestrator/support/fake_facts.h"
#include "tests/orchestrator/support/fake_transport.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

Task choice_task(const fs::path& rows) {
  Task task;
  task.name = "t";
  task.type = "multiple_choice";
  task.data["test"] = {rows.string()};
  task.prompt = "{{q}}";
  task.choices = TemplateList("{{c}}");
  task.answer = "{{gold}}";
  task.metrics = {{"acc", {}}};
  return task;
}

std::vector<Response> answers(const RunShard& shard) {
  std::vector<Response> responses;
  for (const Request& request : shard.requests) {
    const double likely = -static_cast<double>(std::hash<std::string>()(text_of(request, 0)) % 1000);
    responses.push_back({LoglikelihoodAnswer{likely, false, 1, 0}, ""});
  }
  return responses;
}

class OrchestratorTest : public testing::Test {
 protected:
  OrchestratorTest() {
    fs::create_directories(root_);
    std::ofstream rows(root_ / "rows.jsonl");
    for (int i = 0; i < 40; ++i)
      rows << Json{{"q", "question " + std::to_string(i)}, {"c", {"a", "bb"}}, {"gold", i % 2}}.dump() << "\n";
    rows.close();
    prepare(1);
  }
  ~OrchestratorTest() override { fs::remove_all(root_); }

  void prepare(std::uint32_t tensor_parallel) {
    Suite suite;
    suite.name = "s";
    suite.modules.resize(1);
    suite.modules[0].name = "m";
    suite.modules[0].tensor_parallel = tensor_parallel;
    suite.tasks = {choice_task(root_ / "rows.jsonl")};
    FakeFacts facts;
    work_ = prepare_work(suite, 0, facts);
  }

  /// A start of the run in `name`; what it prints is in `terminal` and `results`.
  int run(FakeTransport& transport, const std::string& name = "run", const char* vfs = "unix-none",
          RunLock* lock = nullptr) {
    if (!transport.answer) transport.answer = answers;
    const RunDirectory directory(root_ / name);
    directory.create();
    RunStore store(directory.database().string(), RunStore::Open::new_or_existing, vfs);
    Resumed resumed = resume(store, work_, false);
    options.progress = ProgressStyle::none;
    terminal.str("");
    results.str("");
    Notices notices(
        "cat >> " + (root_ / "notices").string(), [] { return false; }, [](const std::string&) {});
    Orchestrator orchestrator(work_, options, directory, store, lock,
                              {transport,
                               [&] { return Moment(transport.now); },
                               [this] { return asked; },
                               terminal,
                               results,
                               root_ / "calibration.json",
                               {},
                               &notices},
                              std::move(resumed));
    return orchestrator.run();
  }
  std::string file(const fs::path& path) const {
    std::ostringstream text;
    text << std::ifstream(root_ / path).rdbuf();
    return text.str();
  }
  std::string state(const std::string& name = "run") const { return Json::parse(file(name + "/status.json"))["state"]; }
  /// Asks for something once so many shards are answered.
  void after_answers(FakeTransport& transport, int count, const std::function<void()>& act) {
    transport.pass = [=, seen = 0](AgentId, AgentReport& report) mutable {
      const auto* worker = std::get_if<FromWorker>(&report);
      if (worker && std::holds_alternative<ShardAnswered>(decode_worker_report(worker->frame)) && ++seen == count)
        act();
      return true;
    };
  }

  /// What of each notice, "event exit code", the command of --notify has read.
  std::string told() const {
    std::istringstream lines(file("notices"));
    std::string all;
    for (std::string line; std::getline(lines, line);) {
      const Json one = Json::parse(line);
      all += one["event"].get<std::string>() + " " + one["exit_code"].dump() + "\n";
    }
    return all;
  }

  fs::path root_ = fs::temp_directory_path() / ("proctor-orchestrator-" + std::to_string(::getpid()));
  Work work_;
  RunOptions options;
  Asked asked = Asked::nothing;
  std::ostringstream terminal, results;
};

TEST_F(OrchestratorTest, a_run_is_answered_scored_printed_and_left) {
  FakeTransport one(1);
  EXPECT_EQ(run(one), kDone);
  EXPECT_EQ(state(), "finished");
  EXPECT_NE(results.str().find("acc"), std::string::npos);
  EXPECT_EQ(one.sent["leave"], 1);
  EXPECT_EQ(one.sent["leave at once"], 0);
  EXPECT_EQ(told(), "done 0\n");
  EXPECT_NE(file("run/metrics.prom").find("state=\"finished\"} 1\n"), std::string::npos);
  FakeTransport again(1);
  EXPECT_EQ(run(again), kDone) << "what is done is printed again";
  EXPECT_EQ(again.sent["configure"], 0);
  EXPECT_EQ(again.sent["leave"], 1) << "other ranks wait for a word";
  FakeTransport two(3, 2);
  EXPECT_EQ(run(two, "two"), kDone);
  EXPECT_EQ(file("two/results/m.json"), file("run/results/m.json"));
  EXPECT_EQ(file("two/samples/m/t.jsonl"), file("run/samples/m/t.jsonl"));
  EXPECT_GT(two.sent["beat"], 0);
}

TEST_F(OrchestratorTest, a_signal_on_any_rank_drains_and_the_same_command_goes_on) {
  FakeTransport whole(1);
  EXPECT_EQ(run(whole, "whole"), kDone);
  FakeTransport transport(1, 1);
  after_answers(transport, 2, [&] { transport.say(0, AgentId{1}, DrainAsked{15}); });
  EXPECT_EQ(run(transport), kStoppedEarly);
  EXPECT_EQ(state(), "stopped");
  EXPECT_NE(terminal.str().find("signal 15: no new shards"), std::string::npos);
  EXPECT_NE(results.str().find("the same command goes on from here"), std::string::npos);
  FakeTransport rest(1);
  EXPECT_EQ(run(rest), kDone);
  EXPECT_NE(terminal.str().find("already answered"), std::string::npos);
  EXPECT_EQ(file("run/samples/m/t.jsonl"), file("whole/samples/m/t.jsonl"));
  EXPECT_EQ(file("run/results/m.json"), file("whole/results/m.json"));
}

TEST_F(OrchestratorTest, a_quiet_run_prints_results_and_what_is_left_only) {
  options.quiet = true;
  FakeTransport transport(1, 1);
  after_answers(transport, 2, [&] { transport.say(0, AgentId{1}, DrainAsked{15}); });
  EXPECT_EQ(run(transport), kStoppedEarly);
  EXPECT_EQ(terminal.str(), "");
  EXPECT_NE(file("run/logs/orchestrator.log").find("signal 15: no new shards"), std::string::npos);
  EXPECT_TRUE(results.str().starts_with("stopped early (")) << results.str();
  FakeTransport rest(1);
  EXPECT_EQ(run(rest), kDone);
  EXPECT_EQ(terminal.str(), "");
  EXPECT_TRUE(results.str().starts_with("\nm (")) << results.str();
  EXPECT_NE(results.str().find("|acc"), std::string::npos);
  EXPECT_EQ(results.str().find("ledger: "), std::string::npos);
  EXPECT_EQ(results.str().find("files: "), std::string::npos);
}

TEST_F(OrchestratorTest, a_drain_does_not_wait_for_a_shard_that_does_not_end) {
  FakeTransport transport(1);
  transport.answer_s = 1e5;
  work_.suite.deadlines.progress = Deadlines::Seconds(1e6);
  transport.say(1, kLocal, DrainAsked{10});
  EXPECT_EQ(run(transport), kStoppedEarly);
  EXPECT_GT(transport.now, work_.suite.deadlines.drain.count());
  EXPECT_LT(transport.now, 2 * work_.suite.deadlines.drain.count());
  EXPECT_EQ(transport.sent["leave at once"], 1);
}

TEST_F(OrchestratorTest, leave_and_interrupt_stop_at_once) {
  for (const auto& [ask, code] : {std::pair(Asked::leave, kStoppedEarly), std::pair(Asked::interrupt, kInterrupted)}) {
    FakeTransport transport(1);
    after_answers(transport, 1, [this, ask = ask] { asked = ask; });
    EXPECT_EQ(run(transport), code);
    EXPECT_EQ(state(), "stopped");
    EXPECT_EQ(transport.sent["leave at once"], 1);
    asked = Asked::nothing;
    fs::remove_all(root_ / "run");
  }
}

TEST_F(OrchestratorTest, a_silent_nodes_shards_run_elsewhere_and_it_may_come_back) {
  FakeTransport transport(1, 1);
  transport.answer_s = 3;
  FakeTransport with(1, 1);
  with.node(1).silent_from = 2;
  with.node(1).silent_until = 30;
  with.answer_s = 3;
  EXPECT_EQ(run(transport, "whole"), kDone);
  EXPECT_EQ(run(with), kDone);
  EXPECT_NE(terminal.str().find("node node1 has been silent for"), std::string::npos) << terminal.str();
  EXPECT_EQ(told(), "done 0\nslot_lost null\ndone 0\n");
  EXPECT_EQ(file("run/samples/m/t.jsonl"), file("whole/samples/m/t.jsonl"));
  const Json manifest = Json::parse(file("run/manifest.json"));
  EXPECT_FALSE(manifest["events"].empty());
}

TEST_F(OrchestratorTest, a_node_whose_disk_is_full_stops_the_run_resumably) {
  FakeTransport transport(1, 1);
  after_answers(transport, 2, [&] {
    transport.say(0, AgentId{1}, AgentFailed{"node1", "environment", "/logs: No space left on device", true});
  });
  EXPECT_EQ(run(transport), kStoppedEarly);
  EXPECT_EQ(state(), "stopped");
  EXPECT_NE(terminal.str().find("node node1: /logs: No space left on device"), std::string::npos);
  EXPECT_NE(terminal.str().find("Make room"), std::string::npos);
  FakeTransport rest(1);
  EXPECT_EQ(run(rest), kDone);
}

TEST_F(OrchestratorTest, a_full_disk_stops_writing_and_nothing_half_is_left) {
  ::setenv("PROCTOR_TEST_STORE", R"({"operation": 40, "action": "full"})", 1);
  FakeTransport transport(1);
  EXPECT_EQ(run(transport, "run", store_vfs()), kStoppedEarly);
  ::unsetenv("PROCTOR_TEST_STORE");
  EXPECT_NE(terminal.str().find("what was acknowledged is kept. Make room"), std::string::npos) << terminal.str();
  EXPECT_EQ(told(), "drained 75\n");
  EXPECT_EQ(state(), "stopped");
  FakeTransport rest(1);
  EXPECT_EQ(run(rest), kDone);
}

TEST_F(OrchestratorTest, a_directory_that_was_taken_over_is_left_without_a_word_into_it) {
  const RunDirectory directory(root_ / "run");
  directory.create();
  RunLock lock(directory);
  FakeTransport transport(1);
  after_answers(transport, 1, [&] {
    Owner other = this_owner();
    std::ofstream(directory.owner()) << Json(other).dump();
  });
  EXPECT_EQ(run(transport, "run", "unix-none", &lock), kEnvironment);
  EXPECT_FALSE(fs::exists(root_ / "run/results/m.json"));
}

/// What a run that printed nothing else said at its end.
Json error_of(const std::string& terminal) {
  const Json error = Json::parse(terminal, nullptr, /*allow_exceptions=*/false);
  EXPECT_TRUE(error.is_object()) << terminal;
  return error;
}

TEST_F(OrchestratorTest, what_ends_it_is_a_line_of_json_where_one_is_wanted) {
  options.errors = ErrorStyle::json;
  options.quiet = true;
  FakeTransport full(1, 1);
  after_answers(full, 2, [&] {
    full.say(0, AgentId{1}, AgentFailed{"node1", "environment", "/logs: No space left on device", true});
  });
  EXPECT_EQ(run(full, "full"), kStoppedEarly);
  EXPECT_EQ(error_of(terminal.str())["exit"], kStoppedEarly);
  const RunDirectory directory(root_ / "taken");
  directory.create();
  RunLock lock(directory);
  FakeTransport taken(1);
  after_answers(taken, 1, [&] { std::ofstream(directory.owner()) << Json(this_owner()).dump(); });
  EXPECT_EQ(run(taken, "taken", "unix-none", &lock), kEnvironment);
  EXPECT_EQ(error_of(terminal.str())["exit"], kEnvironment);
  FakeTransport refused(1, 1);
  refused.node(1).leaves = false;
  refused.node(1).facts.numerics = "another";
  EXPECT_THROW(run(refused, "refused"), FakeTransport::Aborted);
  EXPECT_NE(error_of(terminal.str())["error"].get<std::string>().find("another build of proctor"), std::string::npos);
}

TEST_F(OrchestratorTest, a_node_of_another_device_is_refused) {
  FakeTransport transport(1, 1);
  transport.node(1).facts.kind = "NVIDIA H200";
  try {
    run(transport);
    ADD_FAILURE();
  } catch (const EnvironmentError& error) {
    EXPECT_NE(std::string(error.what()).find("node node1 has another device kind (NVIDIA H200)"), std::string::npos);
  }
  EXPECT_EQ(transport.sent["leave at once"], 2);
  EXPECT_EQ(state(), "failed");
}

TEST_F(OrchestratorTest, an_agent_that_does_not_leave_ends_with_every_rank) {
  FakeTransport refused(1, 1);
  refused.node(1).leaves = false;
  refused.node(1).facts.numerics = "another";
  try {
    run(refused);
    ADD_FAILURE();
  } catch (const FakeTransport::Aborted& aborted) {
    EXPECT_EQ(aborted.code, kEnvironment);
  }
  EXPECT_NE(terminal.str().find("another build of proctor"), std::string::npos) << "said before it ends";
  FakeTransport transport(1, 1);
  transport.node(1).leaves = false;
  try {
    run(transport, "well");
    ADD_FAILURE();
  } catch (const FakeTransport::Aborted& aborted) {
    EXPECT_EQ(aborted.code, kDone);
  }
  EXPECT_EQ(state("well"), "finished");
}

TEST_F(OrchestratorTest, a_gang_that_fits_no_node_is_refused_with_what_to_do) {
  prepare(3);
  FakeTransport transport(2, 2);
  try {
    run(transport);
    ADD_FAILURE();
  } catch (const EnvironmentError& error) {
    EXPECT_NE(std::string(error.what()).find("needs 3 workers side by side on one node, and there are at most 2"),
              std::string::npos)
        << error.what();
  }
}

TEST_F(OrchestratorTest, a_gang_gets_common_memory_and_each_order_once_a_node) {
  FakeTransport whole(1);
  EXPECT_EQ(run(whole, "whole"), kDone);
  prepare(3);
  FakeTransport transport(3);
  EXPECT_EQ(run(transport), kDone);
  EXPECT_EQ(transport.sent["share memory"], 1);
  EXPECT_EQ(file("run/samples/m/t.jsonl"), file("whole/samples/m/t.jsonl"));
}

TEST_F(OrchestratorTest, a_report_that_cannot_be_read_costs_its_worker) {
  FakeTransport transport(1);
  transport.pass = [garbled = false](AgentId, AgentReport& report) mutable {
    auto* worker = std::get_if<FromWorker>(&report);
    if (!worker || garbled || !std::holds_alternative<ShardAnswered>(decode_worker_report(worker->frame))) return true;
    garbled = true;
    worker->frame = "\xc1";
    return true;
  };
  EXPECT_EQ(run(transport), kDone);
  EXPECT_NE(terminal.str().find("sent a message that cannot be read"), std::string::npos);
  EXPECT_EQ(transport.sent["kill"], 1);
}

TEST_F(OrchestratorTest, failed_requests_are_counted_named_and_an_exit_code_of_their_own) {
  FakeTransport transport(1);
  transport.answer = [](const RunShard& shard) {
    std::vector<Response> responses = answers(shard);
    for (std::size_t i = 0; i < responses.size(); ++i)
      if (text_of(shard.requests[i], 0) == "question 7") responses[i] = {{}, "it is too long"};
    return responses;
  };
  EXPECT_EQ(run(transport), kSomeFailed);
  EXPECT_NE(results.str().find("it is too long"), std::string::npos);
  EXPECT_EQ(Json::parse(file("run/status.json"))["failed_requests"], 2);
}

TEST_F(OrchestratorTest, an_answer_to_another_question_fails_its_request) {
  FakeTransport transport(1);
  transport.answer = [](const RunShard& shard) {
    std::vector<Response> responses = answers(shard);
    for (std::size_t i = 0; i < responses.size(); ++i)
      if (text_of(shard.requests[i], 0) == "question 7") responses[i].answer = RollingAnswer{-1, 1};
    return responses;
  };
  EXPECT_EQ(run(transport), kSomeFailed);
  EXPECT_NE(results.str().find("the worker did not answer what was asked (loglikelihood)"), std::string::npos);
}

TEST_F(OrchestratorTest, ranks_that_never_say_hello_are_gone_on_without) {
  FakeTransport transport(1, 1);
  transport.answer_s = 60;
  work_.suite.deadlines.progress = Deadlines::Seconds(1e6);
  transport.pass = [](AgentId agent, AgentReport& report) {
    return agent == kLocal || std::holds_alternative<AgentLeft>(report);
  };
  EXPECT_EQ(run(transport), kDone);
  EXPECT_NE(terminal.str().find("1 of 2 ranks have not said what they have; the run goes on without them"),
            std::string::npos);
}

}  // namespace
}  // namespace proctor
