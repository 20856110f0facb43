#include "orchestrator/planning/work.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "orchestrator/metrics/hashes.h"
#include "orchestrator/planning/file_hashes.h"
#include "orchestrator/report/ledger_view.h"
#include "orchestrator/scoring/results.h"
#include "orchestrator/scoring/results_table.h"
#include "sharding/protocol/error.h"
#include "tests/orchestrator/support/fake_facts.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

class WorkTest : public testing::Test {
 protected:
  WorkTest() {
    fs::create_directories(root_);
    std::ofstream rows(root_ / "rows.jsonl");
    for (int i = 0; i < 10; ++i)
      rows << nlohmann::json{{"q", "question " + std::to_string(9 - i)}, {"c", {"a", "b"}}, {"gold", i % 2}}.dump()
           << "\n\n";
  }
  ~WorkTest() override { fs::remove_all(root_); }
  Suite suite() {
    Suite out;
    out.name = "s";
    out.modules.resize(1);
    out.modules[0].name = "m";
    Task task;
    task.name = "t";
    task.type = "multiple_choice";
    task.file = "t.yaml";
    task.data["test"] = {(root_ / "rows.jsonl").string()};
    task.prompt = "{{q}}";
    task.choices = TemplateList("{{c}}");
    task.answer = "{{gold}}";
    task.metrics = {{"acc", {}}};
    out.tasks.push_back(task);
    return out;
  }
  fs::path root_ = fs::temp_directory_path() / ("proctor-work-" + std::to_string(::getpid()));
  FakeFacts facts_;
};

TEST_F(WorkTest, every_request_lands_in_one_shard) {
  const Work work = prepare_work(suite(), 0, facts_);
  std::vector<int> seen(20, 0);
  for (const Shard& shard : work.shards)
    for (auto r : shard.requests) ++seen[r];
  EXPECT_EQ(seen, std::vector<int>(20, 1));
  EXPECT_EQ(work.shards.size(), work.shard_hashes.size());
}

TEST_F(WorkTest, neighbours_that_score_one_context_share_a_shard_and_those_without_a_context_spread) {
  const auto shards_of = [&](const std::string& context) {
    std::ofstream rows(root_ / "requests.jsonl");
    for (int i = 0; i < 40; ++i)
      rows
          << nlohmann::json{{"type", "loglikelihood"}, {"context", context}, {"continuation", std::to_string(i)}}.dump()
          << "\n";
    rows.close();
    Suite requests = suite();
    requests.tasks[0].type = "requests";
    requests.tasks[0].metrics.clear();
    requests.tasks[0].data["test"] = {(root_ / "requests.jsonl").string()};
    return prepare_work(requests, 0, facts_).shards.size();
  };
  EXPECT_EQ(shards_of("one context"), 1u);
  EXPECT_GT(shards_of(""), 4u);
}

TEST_F(WorkTest, a_model_that_cannot_be_divided_is_refused_with_its_numbers_and_what_would_do) {
  Suite wide = suite();
  wide.modules[0].tensor_parallel = 2;
  try {
    prepare_work(std::move(wide), 0, facts_);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(),
                 "module m: tensor_parallel 2: 9 attention heads cannot be divided by 2; sizes that can be used: 1, 3");
  }
}

TEST_F(WorkTest, limit_takes_the_first_documents_and_leaves_examples_alone) {
  Suite five = suite();
  five.tasks[0].fewshot.count = 2;
  const Work all = prepare_work(five, 0, facts_), some = prepare_work(five, 3, facts_);
  EXPECT_EQ(some.requests[0].documents.size(), 3u);
  for (std::size_t r = 0; r < some.requests[0].requests.size(); ++r)
    EXPECT_EQ(some.requests[0].requests[r].parts, all.requests[0].requests[r].parts);
}

TEST_F(WorkTest, identity_holds_what_changes_answers_and_nothing_else) {
  const auto fingerprint = [&](auto&& edit) {
    Suite changed = suite();
    edit(changed);
    return prepare_work(changed, 0, facts_).cells[0].fingerprint;
  };
  const std::string same = fingerprint([](Suite&) {});
  EXPECT_EQ(same, fingerprint([](Suite& s) {
              s.machine.workers = 9, s.modules[0].name = "other", s.cleanup.every = 3,
              s.deadlines.load = Deadlines::Seconds(1);
            }));
  EXPECT_NE(same, fingerprint([](Suite& s) { s.modules[0].dtype = DType::bfloat16; }));
  EXPECT_NE(same, fingerprint([](Suite& s) { s.machine.cpu_threads = 2; }));
  EXPECT_NE(same, fingerprint([](Suite& s) { s.modules[0].max_batch_tokens = 64; }));
  EXPECT_NE(same, fingerprint([](Suite& s) { s.tasks[0].prompt = "{{q}}?"; }));
  facts_.hash = "other weights";
  EXPECT_NE(same, fingerprint([](Suite&) {}));
}

TEST_F(WorkTest, bad_rows_are_found_before_anything_starts) {
  const auto refusal = [&](const std::string& rows) {
    std::ofstream(root_ / "rows.jsonl") << rows;
    try {
      prepare_work(suite(), 0, facts_);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(refusal("").find("holds no rows"), std::string::npos);
  EXPECT_NE(refusal("{\"q\": 1\n").find("rows.jsonl:1: not a JSON value"), std::string::npos);
  EXPECT_NE(refusal("[1]\n").find("rows.jsonl:1: a row must be a JSON object"), std::string::npos);
  EXPECT_NE(refusal("{\"q\": 1, \"c\": [\"a\"], \"gold\": 0}\n{\"q\": 1, \"gold\": 0}\n")
                .find("rows.jsonl:2: the row has no field 'c'"),
            std::string::npos);
  EXPECT_NE(refusal("{\"q\": 1, \"c\": [\"a\"], \"gold\": 1}\n").find("rows.jsonl:1: answer 1"), std::string::npos);
  EXPECT_NE(refusal("{\"q\": 1, \"c\": [], \"gold\": 0}\n").find("gives an empty list"), std::string::npos);
}

TEST_F(WorkTest, results_have_lm_evals_shape_and_groups) {
  Suite two = suite();
  two.tasks.push_back(two.tasks[0]);
  two.tasks[1].name = "u";
  two.tasks[0].group = two.tasks[1].group = "g";
  two.tasks[0].metadata = {{"version", 1.0}, {"by", "me"}};
  two.tasks[0].data_names["test"] = "rows.jsonl";
  const Work work = prepare_work(two, 0, facts_);
  std::map<std::uint32_t, CellScore> scores;
  for (std::uint32_t t = 0; t < 2; ++t) {
    scores[t].documents = scores[t].effective = 10;
    scores[t].metrics = {{"acc", "none", 0.5 + 0.2 * t, 0.1}};
  }
  const auto json = module_results(work, ModuleId{0}, scores, 0);
  EXPECT_EQ(json["results"]["t"]["acc,none"], 0.5);
  EXPECT_EQ(json["results"]["t"]["acc_stderr,none"], 0.1);
  EXPECT_EQ(json["n-samples"]["u"]["effective"], 10);
  EXPECT_DOUBLE_EQ(json["groups"]["g"]["acc,none"].get<double>(), 0.6);
  EXPECT_EQ(json["versions"].dump(), R"({"t":1.0,"u":"Yaml"})") << "as lm-eval has them";
  EXPECT_EQ(json["configs"]["t"]["metadata"].dump(), R"({"by":"me","version":1.0})");
  EXPECT_FALSE(json["configs"]["u"].contains("metadata"));
  std::ifstream rows(root_ / "rows.jsonl");
  const std::string hash = sha256_hex(std::string(std::istreambuf_iterator<char>(rows), {}));
  EXPECT_EQ(json["configs"]["t"]["data"].dump(), R"({"test":{"path":"rows.jsonl","sha256":")" + hash + R"("}})");
  const std::string table = results_table(json);
  EXPECT_NE(table.find("| - t |      1|none  |     0|acc   |↑|0.5000|±|0.1000|"), std::string::npos) << table;
  EXPECT_NE(table.find("| - u |Yaml   |none  |     0|acc   |↑|0.7000|±|0.1000|"), std::string::npos) << table;
  EXPECT_NE(table.find("|Groups|"), std::string::npos);
}

TEST_F(WorkTest, the_hash_of_data_is_that_of_its_files_one_after_another) {
  Suite two = suite();
  two.tasks.resize(3, two.tasks[0]);
  std::ofstream(root_ / "a") << std::string(3 << 20, 'a');
  std::ofstream(root_ / "b") << "b";
  two.tasks[0].data = {{"test", {(root_ / "a").string(), (root_ / "b").string()}}, {"train", {(root_ / "b").string()}}};
  two.tasks[1].type = "requests";
  two.tasks[2].data["test"] = {(root_ / "c").string()};
  std::ofstream(root_ / "c");
  const auto hashes = data_hashes(two);
  EXPECT_EQ(hashes[0].at("test"), sha256_hex(std::string(3 << 20, 'a') + "b"));
  EXPECT_EQ(hashes[0].at("train"), sha256_hex("b"));
  EXPECT_TRUE(hashes[1].empty()) << "no results say it";
  EXPECT_EQ(hashes[2].at("test"), sha256_hex(""));
  two.tasks[0].data["test"] = {(root_ / "none").string()};
  EXPECT_THROW((void)data_hashes(two), InputError);
}

LedgerLine ledger_line(std::uint32_t visit, std::uint32_t member, Verdict verdict, const std::string& reason,
                       std::uint64_t left) {
  LedgerLine line;
  line.module = "b";
  line.visit = VisitId{visit};
  line.member = member;
  line.members = 2;
  line.verdict = verdict;
  line.reason = reason;
  line.row.load_s = 1;
  line.row.run_s = 2.25;
  line.row.teardown_s = 0.25;
  line.row.cleanup_s = 0.025;
  line.row.batches = 4;
  line.row.cleanups = 1;
  line.row.allocated_before = 10;
  line.row.allocated_peak = std::uint64_t{visit} << 20;
  line.row.allocated_after = 10 + left;
  return line;
}

TEST(LedgerView, counts_a_gangs_visit_once_shows_what_was_left_and_adds_up) {
  const std::string reason = "7 allocated bytes more than before, " + std::string(500, 'x');
  const std::vector<LedgerLine> rows = {
      ledger_line(1, 0, Verdict::clean, "", 0), ledger_line(1, 1, Verdict::clean, "", 0),
      ledger_line(2, 0, Verdict::recycled, reason, 7), ledger_line(2, 1, Verdict::recycled, "another member's", 0)};
  EXPECT_EQ(ledger_summary(rows), "ledger: 2 visits: 1 clean, 1 recycled; teardown 1.00 s of 9.0 s computed\n");
  const std::string table = ledger_table(rows);
  EXPECT_NE(
      table.find("      2  b                        0.0     0/2    recycled     1.00     2.25      0.250       2.0"
                 "        7  " +
                 reason + "\n"),
      std::string::npos)
      << table;
  EXPECT_NE(table.find("4.00     9.00      1.000       2.0        7\n"), std::string::npos) << table;
  EXPECT_NE(table.find("teardown took 10.00 % of the time, 4 cleanups of 16 batches 1.00 %; left behind: 7 bytes, "
                       "0 communicators, 0 graphs, 0 modules\n"),
            std::string::npos)
      << table;
  EXPECT_EQ(ledger_summary({}), "");
}

TEST(LedgerView, shares_of_a_module_leave_out_visits_whose_products_were_not_timed) {
  LedgerLine timed = ledger_line(1, 0, Verdict::clean, "", 0), aborted = ledger_line(3, 0, Verdict::aborted, "", 0);
  timed.row.products_s = 1.125;
  timed.row.tokenize_s = 0.045;
  timed.module = aborted.module = "a";
  const auto totals = module_totals({timed, aborted, ledger_line(2, 0, Verdict::clean, "", 0)});
  EXPECT_EQ(totals["a"]["run_s"], 4.5);
  EXPECT_EQ(totals["a"]["share_of_limit"], 0.5);
  EXPECT_EQ(totals["a"]["share_tokenizing"], 0.01);
  EXPECT_TRUE(totals["b"]["share_of_limit"].is_null());
}

}  // namespace
}  // namespace proctor
