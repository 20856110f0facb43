#include "sharding/planning/planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "sharding/planning/cost.h"

namespace proctor {
namespace {

ModelFacts facts() {
  ModelFacts out;
  out.parameters = 1000;
  out.layers = 1;
  out.heads = out.head_dim = 1;
  out.vision.cutting = VisionFacts::Cutting::square;
  out.vision.side = 28;
  out.vision.tile_tokens = 4;
  return out;
}

Request request(const std::string& context, const std::string& continuation) {
  return {{context, continuation}, Loglikelihood{}};
}

std::vector<Shard> plan(const std::vector<Request>& requests, const std::vector<std::uint32_t>& bundles,
                        double target) {
  return plan_cell({ModuleId{0}, TaskId{0}, requests, bundles}, facts(), {target, 16});
}

std::vector<std::uint32_t> all_requests(const std::vector<Shard>& shards) {
  std::vector<std::uint32_t> out;
  for (const Shard& shard : shards) out.insert(out.end(), shard.requests.begin(), shard.requests.end());
  std::sort(out.begin(), out.end());
  return out;
}

TEST(Planner, an_empty_pair_has_no_shards) { EXPECT_TRUE(plan({}, {}, 1e9).empty()); }

TEST(Planner, one_request_is_one_shard) {
  const auto shards = plan({request("a", "b")}, {0}, 1e9);
  ASSERT_EQ(shards.size(), 1u);
  EXPECT_EQ(shards[0].requests, std::vector<std::uint32_t>{0});
}

TEST(Planner, never_cuts_a_bundle_and_loses_nothing) {
  std::vector<Request> requests;
  std::vector<std::uint32_t> bundles;
  for (std::uint32_t d = 0; d < 97; ++d) {
    bundles.push_back(static_cast<std::uint32_t>(requests.size()));
    for (std::uint32_t c = 0; c < 2 + d % 4; ++c)
      requests.push_back(request("question " + std::to_string(d * 7919 % 97), "choice " + std::to_string(c)));
  }
  const auto shards = plan(requests, bundles, 5e4);
  std::vector<std::uint32_t> expected(requests.size());
  std::iota(expected.begin(), expected.end(), 0u);
  EXPECT_EQ(all_requests(shards), expected);
  for (std::size_t b = 0; b < bundles.size(); ++b)
    for (const Shard& shard : shards) {
      const auto inside = std::ranges::count_if(shard.requests, [&](std::uint32_t r) {
        return r >= bundles[b] && r < (b + 1 < bundles.size() ? bundles[b + 1] : requests.size());
      });
      const auto size = (b + 1 < bundles.size() ? bundles[b + 1] : requests.size()) - bundles[b];
      EXPECT_TRUE(inside == 0 || inside == static_cast<long>(size)) << "bundle " << b << " is cut";
    }
}

TEST(Planner, puts_equal_beginnings_side_by_side_and_tapers_the_end) {
  std::vector<Request> requests;
  std::vector<std::uint32_t> bundles;
  for (std::uint32_t i = 0; i < 400; ++i)
    bundles.push_back(i), requests.push_back(request(std::string(40, 'a' + static_cast<char>(i % 4)), "x"));
  const auto shards = plan(requests, bundles, 1e6);
  EXPECT_LT(shards.back().flops, shards.front().flops / 2) << "the last tenth goes in quarter-size shards";
  std::vector<char> order;
  for (const Shard& shard : shards)
    for (auto r : shard.requests) order.push_back(text_of(requests[r], 0)[0]);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST(Planner, a_plan_is_a_function_of_its_input) {
  const std::vector<Request> requests = {request("b", "1"), request("a", "2"), request("c", "3")};
  EXPECT_EQ(describe(plan(requests, {0, 1, 2}, 1e9)), describe(plan(requests, {0, 1, 2}, 1e9)));
  EXPECT_NE(describe(plan(requests, {0, 1, 2}, 1e9)), describe(plan(requests, {0, 2}, 1e9)));
}

TEST(Planner, a_header_costs_once_so_that_questions_behind_it_stay_together) {
  std::vector<Request> alone, behind_a_header;
  std::vector<std::uint32_t> bundles;
  for (std::uint32_t i = 0; i < 200; ++i) {
    const std::string question = std::to_string(i * 7919 % 997) + std::string(100, 'q');
    bundles.push_back(i);
    alone.push_back(request(question, "x"));
    behind_a_header.push_back(request(std::string(400, 'h') + question, "x"));
  }
  const std::size_t shards = plan(alone, bundles, 1e6).size();
  EXPECT_GT(shards, 5u);
  EXPECT_LT(plan(behind_a_header, bundles, 1e6).size(), 2 * shards) << "five times the text, hardly more work";
}

TEST(Planner, rows_that_generate_come_in_shards_worth_a_decode_step) {
  std::vector<Request> requests;
  std::vector<std::uint32_t> bundles;
  for (std::uint32_t i = 0; i < 40; ++i) {
    bundles.push_back(i);
    requests.push_back({{std::to_string(i) + " goes on"}, Generate{{}, 100}});
  }
  std::vector<std::size_t> sizes;
  for (const Shard& shard : plan(requests, bundles, 1.0)) sizes.push_back(shard.requests.size());
  EXPECT_EQ(sizes, (std::vector<std::size_t>{16, 16, 8}));
}

Request about(const Image& image, const std::string& question) {
  return {{"<", image, ">" + question, " yes"}, Loglikelihood{}};
}

TEST(Planner, questions_on_one_image_are_neighbours_wherever_its_file_lies) {
  const Image a{"a", "/z.png", 20, 30}, copy{"a", "/b.png", 20, 30}, b{"b", "/a.png", 20, 30};
  std::vector<Request> requests = {about(b, "1"), about(a, "2"), about(b, "2"), about(copy, "1"), request("text", "x")};
  const std::vector<Shard> shards = plan(requests, {0, 1, 2, 3, 4}, 1e99);
  std::vector<std::uint32_t> order;
  for (const Shard& shard : shards) order.insert(order.end(), shard.requests.begin(), shard.requests.end());
  EXPECT_EQ(order, (std::vector<std::uint32_t>{4, 3, 1, 0, 2}));
}

TEST(Cost, a_shared_beginning_is_counted_once) {
  const Request one = request(std::string(400, 'a'), "b");
  EXPECT_LT(request_cost(facts(), one, {400}).flops, request_cost(facts(), one, {0}).flops / 10);
  EXPECT_GT(request_cost(facts(), one, {396}).flops, request_cost(facts(), one, {400}).flops);
}

/// Else a long passage is planned for hours, and a hang in it is not noticed for longer.
TEST(Cost, of_what_is_cut_only_the_rest_is_computed) {
  ModelFacts bounded = facts();
  bounded.max_length = 100;
  const Request one = request(std::string(4000, 'a'), "bbbb");
  EXPECT_EQ(request_cost(bounded, one, {0}).tokens, 100);
  EXPECT_EQ(request_cost(facts(), one, {0}).tokens, 1001);
  EXPECT_EQ(request_cost(bounded, one, {4000}).tokens, 100) << "cut on the left, it shares no beginning";
  EXPECT_EQ(request_cost(bounded, request(std::string(396, 'a'), "bbbb"), {396}).tokens, 1);
  const Request generation{{std::string(4000, 'a')}, Generate{{}, 20}};
  EXPECT_EQ(request_cost(bounded, generation, {0}).tokens, 80 + 10);
  const Request rolling{{std::string(4000, 'a')}, LoglikelihoodRolling{}};
  EXPECT_EQ(request_cost(bounded, rolling, {0}).tokens, 1000) << "in windows";
  EXPECT_LT(request_cost(bounded, rolling, {0}).flops, request_cost(facts(), rolling, {0}).flops);
}

TEST(Planner, beginnings_are_shared_only_by_models_that_can) {
  std::vector<Request> requests(8, request(std::string(4000, 'a'), "b"));
  const std::vector<std::uint32_t> bundles = {0, 1, 2, 3, 4, 5, 6, 7};
  ModelFacts alone = facts();
  alone.shares_beginnings = false;
  const auto tokens = [&](const ModelFacts& of) {
    double sum = 0;
    for (const Shard& shard : plan_cell({ModuleId{0}, TaskId{0}, requests, bundles}, of, {1e12, 16}))
      sum += shard.tokens;
    return sum;
  };
  EXPECT_EQ(tokens(alone), 8 * 1001);
  EXPECT_EQ(tokens(facts()), 1000 + 8);
}

TEST(Cost, an_image_that_came_before_costs_nothing) {
  ModelFacts seeing = facts();
  seeing.vision.cutting = VisionFacts::Cutting::square;
  seeing.vision.side = 28;
  seeing.vision.tile_tokens = 9;
  const Request one = about({"a", "/a.png", 20, 30}, "1?");
  const double image = tokens_of(seeing, one.parts[1]);
  EXPECT_GE(image, 1);
  EXPECT_EQ(request_cost(seeing, one, {}).tokens, 1 + image + 1 + 1);
  EXPECT_EQ(request_cost(seeing, one, {.bytes = 0, .parts = 2}).tokens, 1 + 1);
  EXPECT_LT(request_cost(seeing, one, {.bytes = 0, .parts = 2}).flops, request_cost(seeing, one, {}).flops);
}

}  // namespace
}  // namespace proctor
