#include "orchestrator/planning/chain.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "orchestrator/planning/best_module.h"
#include "orchestrator/suite/chain_tasks.h"
#include "sharding/protocol/error.h"
#include "tests/orchestrator/support/fake_facts.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

TEST(BestModule, by_mean_by_rank_and_by_normalized_means) {
  BestChoice choice;
  const std::vector<Candidate> candidates = {{{0.9, 10}, 0}, {{0.8, 20}, 0}, {{0.1, 15}, 0}};
  EXPECT_EQ(best_of(candidates, choice), 1u) << "large metrics swamp small ones";
  choice.strategy = BestChoice::Strategy::rank;
  EXPECT_EQ(best_of(candidates, choice), 1u) << "1/2 + 1 against 1 + 1/3";
  choice.strategy = BestChoice::Strategy::normalize_mean;
  EXPECT_EQ(best_of(candidates, choice), 1u) << "0.875 + 1 against 1 + 0";
  EXPECT_EQ(best_of(std::vector<Candidate>{{{0.5}, 0}, {{0.5}, 0}}, choice), 0u) << "of equals the first";
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const auto strategy : {BestChoice::Strategy::mean, BestChoice::Strategy::rank}) {
    choice.strategy = strategy;
    EXPECT_EQ(best_of(std::vector<Candidate>{{{nan}, 0}, {{0.1}, 0}}, choice), 1u);
  }
}

TEST(BestModule, equal_values_share_the_mean_of_their_ranks) {
  BestChoice choice;
  choice.strategy = BestChoice::Strategy::rank;
  // ranks 1.5 1.5 3 and 3 2 1: sums 1, 1.1667, 1.3333
  EXPECT_EQ(best_of(std::vector<Candidate>{{{2, 1}, 0}, {{2, 2}, 0}, {{1, 3}, 0}}, choice), 2u);
}

TEST(BestModule, past_the_threshold_only_where_nobody_keeps_to_it) {
  BestChoice choice;
  choice.at_most_tokens = 10;
  EXPECT_EQ(best_of(std::vector<Candidate>{{{0.9}, 11}, {{0.5}, 10}}, choice), 1u);
  EXPECT_EQ(best_of(std::vector<Candidate>{{{0.9}, 11}, {{0.5}, 12}}, choice), 0u);
}

class ChainTest : public testing::Test {
 protected:
  ChainTest() {
    fs::create_directories(root_);
    std::ofstream rows(root_ / "rows.jsonl");
    for (int i = 0; i < 12; ++i)
      rows << nlohmann::json{{"q", "question " + std::to_string(i)}, {"a", "x"}}.dump() << "\n";
  }
  ~ChainTest() override { fs::remove_all(root_); }

  Task generation(const std::string& name, const std::string& prompt) const {
    Task task;
    task.name = name;
    task.type = "generate_until";
    task.file = name + ".yaml";
    task.prompt = prompt;
    task.metrics = {{"exact_match", nlohmann::json::object()}};
    return task;
  }
  /// Two modules say something, a third judges it.
  Suite suite(Upstream upstream) const {
    Suite out;
    out.name = "s";
    out.modules.resize(3);
    for (const auto& [m, name, task] :
         {std::tuple(0, "a", "say"), std::tuple(1, "b", "say"), std::tuple(2, "judge", "judge")}) {
      out.modules[static_cast<std::size_t>(m)].name = name;
      out.modules[static_cast<std::size_t>(m)].tasks = std::vector<std::string>{task};
    }
    out.tasks = {generation("say", "{{q}}"), generation("judge", "{{doc.q}} {{answer.text}} of {{answer.module}}:")};
    out.tasks[0].data["test"] = {(root_ / "rows.jsonl").string()};
    out.tasks[0].target = TemplateList("{{a}}");
    upstream.task = "say";
    upstream.where = "judge.yaml:3:9";
    out.tasks[1].upstream = std::move(upstream);
    link_chains(out);
    return out;
  }
  Work work(Upstream upstream = {}) { return prepare_work(suite(std::move(upstream)), 0, facts_); }
  /// Answers to all of a module's shards; requests in `failed` fail.
  static void answer(Chain& chain, const Work& work, ModuleId module, const std::string& text,
                     const std::set<std::uint32_t>& failed = {}) {
    for (const Shard& shard : std::vector<Shard>(work.shards)) {
      if (shard.module != module) continue;
      std::vector<Response> responses;
      for (const std::uint32_t r : shard.requests)
        responses.push_back(failed.contains(r) ? Response{{}, "it broke"}
                                               : Response{GenerateAnswer{text, 2, {}, 0, {}}, ""});
      chain.add(shard, responses);
    }
  }
  static std::string first_prompt(const Work& work, std::uint32_t task, std::size_t document = 0) {
    const CellRequests& cell = work.requests_of(ModuleId{2}, TaskId{task});
    return text_of(cell.requests.at(cell.first_request.at(document)), 0);
  }

  fs::path root_ = fs::temp_directory_path() / ("proctor-chain-" + std::to_string(::getpid()));
  FakeFacts facts_;
  std::vector<Chosen> chosen_;
  std::function<void(const Chosen&)> note_ = [this](const Chosen& one) { chosen_.push_back(one); };
};

TEST_F(ChainTest, a_task_over_each_modules_answers_is_one_for_each) {
  Work work = this->work();
  ASSERT_EQ(work.suite.tasks.size(), 3u);
  EXPECT_EQ(work.suite.tasks[1].name, "judge of a");
  EXPECT_EQ(work.suite.tasks[2].name, "judge of b");
  EXPECT_EQ(work.cells.size(), 4u);
  EXPECT_EQ(work.waiting.size(), 2u);
  for (const Shard& shard : work.shards) EXPECT_NE(shard.module, ModuleId{2}) << "nothing of it is handed out yet";
  EXPECT_FALSE(work.expected.empty()) << "but it is expected";
  EXPECT_EQ(work.requests_of(ModuleId{2}, TaskId{1}).requests.size(), 12u);
}

TEST_F(ChainTest, it_is_planned_when_the_last_answer_is_here) {
  Work work = this->work();
  Chain chain(work, {});
  EXPECT_TRUE(chain.plan_ready(note_).empty());
  EXPECT_TRUE(chain.may_get_work(ModuleId{2}));
  answer(chain, work, ModuleId{1}, "yes");
  const std::size_t before = work.shards.size();
  EXPECT_EQ(chain.plan_ready(note_), std::vector<TaskId>{TaskId{2}}) << "b has answered, a has not";
  EXPECT_FALSE(chain.done());
  EXPECT_GT(work.shards.size(), before);
  EXPECT_EQ(work.shards.size(), work.shard_hashes.size());
  for (std::size_t s = before; s < work.shards.size(); ++s) EXPECT_EQ(work.shards[s].task, TaskId{2});
  EXPECT_EQ(first_prompt(work, 2, 3), "question 3 yes of b:");
  EXPECT_TRUE(work.cells[3].identity.contains("requests"));
  answer(chain, work, ModuleId{0}, "no");
  EXPECT_EQ(chain.plan_ready(note_), std::vector<TaskId>{TaskId{1}});
  EXPECT_TRUE(chain.done());
  EXPECT_TRUE(work.expected.empty());
  EXPECT_FALSE(chain.may_get_work(ModuleId{2}));
}

TEST_F(ChainTest, its_identity_is_its_settings_what_it_reads_and_its_requests) {
  const auto fingerprint = [this](const std::string& text, const std::string& prompt) {
    Suite changed = suite({});
    changed.tasks[1].prompt = prompt;
    Work work = prepare_work(changed, 0, facts_);
    const std::string before = work.cells[2].fingerprint;
    Chain chain(work, {});
    answer(chain, work, ModuleId{0}, text);
    chain.plan_ready(note_);
    return std::pair(before, work.cells[2].fingerprint);
  };
  const auto one = fingerprint("yes", "{{answer.text}}:"), again = fingerprint("yes", "{{answer.text}}:"),
             other_answer = fingerprint("no", "{{answer.text}}:"),
             other_prompt = fingerprint("yes", "{{answer.text}}?");
  EXPECT_EQ(one, again);
  EXPECT_EQ(one.first, other_answer.first) << "what is known before anything is answered";
  EXPECT_NE(one.second, other_answer.second);
  EXPECT_NE(one.first, other_prompt.first);
}

TEST_F(ChainTest, a_document_without_an_answer_fails_is_left_out_or_has_an_empty_one) {
  const auto documents = [this](Missing missing) {
    Upstream upstream;
    upstream.of = Upstream::Of::module;
    upstream.modules = {"a"};
    upstream.missing = missing;
    Work work = this->work(upstream);
    Chain chain(work, {});
    answer(chain, work, ModuleId{0}, "yes", {4});
    chain.plan_ready(note_);
    return work.requests_of(ModuleId{2}, TaskId{1});
  };
  const CellRequests failed = documents(Missing::fail);
  EXPECT_EQ(failed.documents.size(), 12u);
  EXPECT_EQ(failed.requests.size(), 11u);
  EXPECT_EQ(failed.documents[4].failure, "module a has not answered task say: it broke");
  EXPECT_EQ(failed.first_request[4], failed.first_request[5]);
  EXPECT_EQ(documents(Missing::skip).documents.size(), 11u);
  const CellRequests empty = documents(Missing::empty);
  EXPECT_EQ(empty.requests.size(), 12u);
  EXPECT_EQ(text_of(empty.requests[4], 0), "question 4  of a:");
}

TEST_F(ChainTest, the_best_is_chosen_once_and_a_choice_that_was_made_stays) {
  Upstream upstream;
  upstream.of = Upstream::Of::best;
  upstream.best.metrics = {"exact_match"};
  const auto planned = [&](std::map<std::string, std::string> known) {
    Work work = this->work(upstream);
    Chain chain(work, {}, std::move(known));
    answer(chain, work, ModuleId{0}, "no");
    answer(chain, work, ModuleId{1}, "yes");
    if (chain.plan_ready(note_).empty()) {
      chain.add_score(0, {{"exact_match", "none", 0.25, {}}});
      chain.add_score(1, {{"exact_match", "none", 0.75, {}}});
      EXPECT_EQ(chain.plan_ready(note_).size(), 1u);
    }
    return first_prompt(work, 1);
  };
  EXPECT_EQ(planned({}), "question 0 yes of b:");
  ASSERT_EQ(chosen_.size(), 1u);
  EXPECT_EQ(chosen_[0].module, "b");
  EXPECT_EQ(planned({{"judge", "a"}}), "question 0 no of a:");
  EXPECT_EQ(chosen_.size(), 1u) << "of an earlier start";
}

TEST_F(ChainTest, two_answers_are_compared_in_both_orders) {
  Upstream upstream;
  upstream.of = Upstream::Of::pair;
  upstream.modules = {"a", "b"};
  Suite pair = suite(upstream);
  pair.tasks[1].prompt = "{{first.text}} or {{second.text}}?";
  pair.tasks[1].metrics = {{"preference", nlohmann::json::object()}};
  Work work = prepare_work(pair, 0, facts_);
  Chain chain(work, {});
  answer(chain, work, ModuleId{0}, "no");
  answer(chain, work, ModuleId{1}, "yes");
  ASSERT_EQ(chain.plan_ready(note_).size(), 1u);
  const CellRequests& cell = work.requests_of(ModuleId{2}, TaskId{1});
  ASSERT_EQ(cell.requests.size(), 24u);
  EXPECT_EQ(text_of(cell.requests[0], 0), "no or yes?");
  EXPECT_EQ(text_of(cell.requests[1], 0), "yes or no?");
}

/// Writes what was asked last in brackets.
class Brackets final : public ConversationRenderer {
 public:
  ChatTemplate open(const std::string&, const Chat&) override { return {"brackets", {}}; }
  std::vector<std::string> render(std::span<const Messages> conversations) override {
    std::vector<std::string> texts;
    for (const Messages& one : conversations) texts.push_back("[" + one.back().content + "]");
    return texts;
  }
  std::size_t without_system() const override { return 0; }
};

TEST_F(ChainTest, a_chat_template_writes_what_was_answered_and_not_what_was_foreseen) {
  Suite talking = suite({});
  talking.chats.resize(3);
  talking.chats[2].use = Chat::Use::on;
  Brackets renderer;
  const Interpreters interpreters{&renderer, nullptr, nullptr, nullptr};
  Work work = prepare_work(talking, 0, facts_, interpreters);
  const std::size_t sets = work.requests.size();
  Chain chain(work, interpreters);
  answer(chain, work, ModuleId{0}, "yes");
  ASSERT_EQ(chain.plan_ready(note_).size(), 1u);
  EXPECT_EQ(first_prompt(work, 1, 2), "[question 2 yes of a:]");
  EXPECT_EQ(work.requests.size(), sets) << "others are read meanwhile";
}

TEST_F(ChainTest, what_is_wrong_with_a_template_is_told_before_anything_runs) {
  Suite wrong = suite({});
  wrong.tasks[1].prompt = wrong.tasks[2].prompt = "{{answer.words}}";
  try {
    prepare_work(wrong, 0, facts_);
    FAIL() << "answers have no words";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("its answer has: text, tokens, metrics, module"), std::string::npos)
        << error.what();
  }
}

TEST_F(ChainTest, circles_strangers_and_what_cannot_be_read_are_refused_by_place) {
  const auto refused = [this](const std::function<void(Suite&)>& change, const std::string& part) {
    Suite wrong = suite({});
    wrong.tasks.pop_back();
    wrong.tasks[1].name = "judge";
    wrong.tasks[1].of_suite.clear();
    wrong.tasks[1].upstream->sources.clear();
    change(wrong);
    try {
      link_chains(wrong);
      ADD_FAILURE() << part;
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find("judge.yaml:3:9: "), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  refused([](Suite& s) { s.tasks[1].upstream->task = "judge"; }, "in a circle: judge reads judge");
  refused([](Suite& s) { s.tasks[1].upstream->task = "sai"; }, "did you mean 'say'?");
  refused([](Suite& s) { s.tasks[1].upstream->of = Upstream::Of::module, s.tasks[1].upstream->modules = {"c"}; },
          "no module is named 'c'");
  refused([](Suite& s) { s.tasks[1].upstream->of = Upstream::Of::module, s.tasks[1].upstream->modules = {"judge"}; },
          "module judge does not answer task say");
  refused([](Suite& s) { s.tasks[1].upstream->top = 3; }, "ranks none");
  refused([](Suite& s) { s.tasks[0].type = "similarity"; }, "nothing can be read of the answers");
  refused([](Suite& s) { s.tasks[1].upstream->best.metrics = {"bleu"}; }, "has no metric 'bleu'");
  refused([](Suite& s) { s.modules[0].tasks = s.modules[1].tasks = std::vector<std::string>{}; },
          "no module answers task say");
}

}  // namespace
}  // namespace proctor
