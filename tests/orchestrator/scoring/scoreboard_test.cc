#include "orchestrator/scoring/scoreboard.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "orchestrator/suite/model_path.h"
#include "sharding/protocol/error.h"
#include "tests/orchestrator/support/fake_facts.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

class ScoreboardTest : public testing::Test {
 protected:
  ScoreboardTest() {
    fs::create_directories(root_);
    std::ofstream rows(root_ / "rows.jsonl");
    for (int i = 0; i < 40; ++i)
      rows
          << nlohmann::json{{"q", "question " + std::to_string(i * 7 % 40)}, {"c", {"a", "bb"}}, {"gold", i % 2}}.dump()
          << "\n";
    rows.close();
    Suite suite;
    suite.name = "s";
    suite.modules.resize(2);
    suite.modules[0].name = "m";
    suite.modules[1].name = "n";
    Task task;
    task.name = "t";
    task.type = "multiple_choice";
    task.data["test"] = {(root_ / "rows.jsonl").string()};
    task.prompt = "{{q}}";
    task.choices = TemplateList("{{c}}");
    task.answer = "{{gold}}";
    task.metrics = {{"acc", {}}, {"acc_norm", {}}};
    suite.tasks = {task};
    FakeFacts facts;
    work_ = prepare_work(suite, 0, facts);
  }
  ~ScoreboardTest() override { fs::remove_all(root_); }

  /// Answers that depend on the request alone, given shard by shard in this order.
  std::string files(const std::vector<std::size_t>& order, const std::string& name) {
    const RunDirectory directory(root_ / name);
    directory.create();
    Scoreboard board(work_, directory, 0, write_file);
    for (std::size_t s : order) {
      std::vector<Response> responses;
      for (std::uint32_t r : work_.shards[s].requests)
        responses.push_back({LoglikelihoodAnswer{-std::fabs(std::sin(r + 1.0)), r % 3 == 0, 1, 0}, ""});
      board.add(work_.shards[s], responses);
      board.collect(false);
    }
    board.collect(true);
    std::ostringstream text;
    for (const char* module : {"m", "n"})
      text << std::ifstream(directory.results(module)).rdbuf() << std::ifstream(directory.samples(module, "t")).rdbuf();
    return text.str() + board.tables();
  }

  fs::path root_ = fs::temp_directory_path() / ("proctor-scoreboard-" + std::to_string(::getpid()));
  Work work_;
};

TEST_F(ScoreboardTest, any_order_of_completion_gives_the_same_bytes) {
  std::vector<std::size_t> order(work_.shards.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  ASSERT_GT(order.size(), 8u);
  const std::string expected = files(order, "in-order");
  EXPECT_NE(expected.find("\"acc,none\""), std::string::npos);
  for (std::uint32_t seed = 0; seed < 10; ++seed) {
    std::ranges::shuffle(order, std::mt19937(seed));
    EXPECT_EQ(files(order, "shuffled-" + std::to_string(seed)), expected) << "seed " << seed;
  }
}

TEST(ModelPath, finds_a_name_in_the_hub_cache_by_its_revision) {
  const fs::path cache = fs::temp_directory_path() / ("proctor-hub-" + std::to_string(::getpid()));
  const fs::path repository = cache / "models--org--name";
  fs::create_directories(repository / "snapshots" / "abc123");
  fs::create_directories(repository / "refs");
  std::ofstream(repository / "refs" / "main") << "abc123";
  ::setenv("HF_HUB_CACHE", cache.c_str(), 1);
  EXPECT_EQ(resolve_model_path("org/name", "/s.yaml", "s.yaml:1:1"), (repository / "snapshots" / "abc123").string());
  EXPECT_EQ(resolve_model_path("org/name@abc123", "/s.yaml", "s.yaml:1:1"),
            (repository / "snapshots" / "abc123").string());
  EXPECT_THROW(resolve_model_path("org/other", "/s.yaml", "s.yaml:1:1"), InputError);
  ::unsetenv("HF_HUB_CACHE");
  fs::remove_all(cache);
}

}  // namespace
}  // namespace proctor
