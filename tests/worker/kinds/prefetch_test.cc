// Rows of the next shard made on another thread: once, the same as without, also where the guess was wrong.
#include "worker/kinds/prefetch.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

#include "tests/worker/support/fake_device.h"
#include "tests/worker/support/goldens.h"

namespace proctor {
namespace {

std::vector<Request> texts(const std::vector<std::string>& parts) {
  std::vector<Request> requests;
  for (const std::string& part : parts) requests.push_back({{part}, ScorePair{}});
  return requests;
}

struct Counted {
  std::string text;
  std::thread::id thread;
};

class PrefetchTest : public ::testing::Test {
 protected:
  Counted of(const std::vector<Request>& now, const std::vector<Request>& next) {
    return prefetch_.of({now, 64, {}, {}, next}, [this](std::span<const Request> requests) {
      ++makes_;
      if (text_of(requests[0], 0) == "bad") throw std::runtime_error("no rows");
      return Counted{text_of(requests[0], 0), std::this_thread::get_id()};
    });
  }
  std::atomic<int> makes_ = 0;
  Prefetch<Counted> prefetch_;
};

TEST_F(PrefetchTest, what_follows_is_made_once_and_on_another_thread) {
  const auto a = texts({"a"}), b = texts({"b"});
  EXPECT_EQ(of(a, b).thread, std::this_thread::get_id());
  const Counted second = of(b, {});
  EXPECT_EQ(second.text, "b");
  EXPECT_NE(second.thread, std::this_thread::get_id());
  EXPECT_EQ(makes_, 2);
}

TEST_F(PrefetchTest, a_wrong_guess_and_a_dropped_one_are_made_anew) {
  const auto a = texts({"a"}), b = texts({"b"}), c = texts({"c"});
  (void)of(a, b);
  EXPECT_EQ(of(c, b).text, "c");
  prefetch_.drop();
  EXPECT_EQ(of(b, {}).thread, std::this_thread::get_id());
}

TEST_F(PrefetchTest, what_could_not_be_made_is_said_when_it_is_asked_for) {
  const auto a = texts({"a"}), bad = texts({"bad"});
  EXPECT_EQ(of(a, bad).text, "a");
  EXPECT_THROW((void)of(bad, a), std::runtime_error);
  EXPECT_EQ(of(a, {}).text, "a") << "and it goes on";
}

/// Two shards of a module one after another, the second predicted or not.
std::vector<Response> answers(const Module& module, const std::vector<Request>& first,
                              const std::vector<Request>& second, const std::vector<Request>& guess) {
  FakeDevice device;
  BatchCleanup cleanup({}, device);
  const auto gang = make_solo_communicator();
  const auto open = find_kind(module.kind).open(module, device, *gang, kQuiet);
  std::vector<Response> all;
  for (const ShardRun& shard : {ShardRun{first, 64, {}, {}, guess}, ShardRun{second, 64, {}, {}, {}}})
    for (const Response& response : open->run(shard, cleanup, kQuiet)) all.push_back(response);
  return all;
}

TEST(Prefetch, no_answer_of_any_kind_that_makes_rows_ahead_depends_on_the_guess) {
  const nlohmann::json golden = goldens("rerank_goldens.json");
  const std::vector<Request> pairs = pairs_of(golden);
  const std::size_t half = pairs.size() / 2;
  const std::vector<Request> first(pairs.begin(), pairs.begin() + half), second(pairs.begin() + half, pairs.end());
  std::size_t kinds = 0;
  for (const auto& one : golden.at("cases")) {
    const Module module = module_of(one);
    const auto expected = answers(module, first, second, {});
    EXPECT_EQ(answers(module, first, second, second), expected) << module.kind;
    EXPECT_EQ(answers(module, first, second, first), expected) << module.kind;
    ++kinds;
  }
  EXPECT_GT(kinds, 5u);
}

TEST(Prefetch, a_generators_texts_scores_and_refusals_are_the_same) {
  Module module;
  module.name = "m";
  module.kind = "generator";
  module.path = tiny_model("llama");
  const auto shard = [](const std::string& word) {
    std::vector<Request> requests = {{{word + " and", " its end"}, Loglikelihood{}},
                                     {{word + " goes on"}, Generate{{"\x01"}, 4}},
                                     {{word + " has no room"}, Generate{{"\x01"}, 1 << 20}},
                                     {{word + " rolls"}, LoglikelihoodRolling{}}};
    return requests;
  };
  const auto expected = answers(module, shard("one"), shard("two"), {});
  EXPECT_NE(expected[6].error.find("leaves no room"), std::string::npos) << expected[6].error;
  EXPECT_EQ(answers(module, shard("one"), shard("two"), shard("two")), expected);
  EXPECT_EQ(answers(module, shard("one"), shard("two"), shard("three")), expected);
}

}  // namespace
}  // namespace proctor
