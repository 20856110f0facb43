#include "orchestrator/metrics/set_metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "orchestrator/metrics/aggregation.h"
#include "orchestrator/metrics/text_metric_table.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::json;
using Texts = std::vector<std::string>;

MetricValue mme(const std::string& said, const std::string& truth, const std::string& category,
                const std::string& image) {
  return text_metric("mme_perception_score", said, Texts{truth}, {{"category", category}, {"image", image}});
}

TEST(Mme, an_image_gives_its_share_and_a_hundred_more_where_both_are_right) {
  const std::vector<MetricValue> both = {mme("Yes", "Yes", "color", "1"), mme("no.", "No", "color", "1")};
  EXPECT_EQ(aggregate("mme_perception_score", both), 200.0);
  const std::vector<MetricValue> one = {mme("Yes", "Yes", "color", "1"), mme("yes", "No", "color", "1")};
  EXPECT_EQ(aggregate("mme_perception_score", one), 50.0);
}

TEST(Mme, images_are_averaged_and_categories_added_within_their_ability) {
  std::vector<MetricValue> values;
  for (const auto& [category, image, second] :
       {std::tuple("color", "1", "no"), {"color", "2", "yes"}, {"OCR", "1", "no"}, {"code_reasoning", "1", "yes"}}) {
    values.push_back(mme("yes", "Yes", category, image));
    values.push_back(mme(second, "No", category, image));
  }
  EXPECT_EQ(aggregate("mme_perception_score", values), (200 + 50) / 2.0 + 200);
  EXPECT_EQ(aggregate("mme_cognition_score", values), 50.0);
}

TEST(Mme, an_image_with_one_answer_does_not_count) {
  std::vector<MetricValue> values = {mme("yes", "Yes", "color", "1"), mme("no", "No", "color", "1"),
                                     mme("yes", "Yes", "color", "2")};
  EXPECT_EQ(aggregate("mme_perception_score", values), 200.0);
  EXPECT_TRUE(std::isnan(aggregate("mme_perception_score", std::span(values).last(1))));
}

TEST(Mme, reads_the_first_four_characters) {
  const auto right = [](const char* said, const char* truth) { return mme(said, truth, "color", "1").value; };
  EXPECT_EQ(right(" YES, it is", "Yes"), 1.0);
  EXPECT_EQ(right("y.", "Yes"), 1.0);
  EXPECT_EQ(right("n", "No"), 1.0);
  EXPECT_EQ(right("a no", "No"), 1.0);
  EXPECT_EQ(right("it's a no", "No"), 0.0);
  EXPECT_EQ(right("", "No"), 0.0);
}

TEST(Pope, counts_whole_answers) {
  const std::vector<std::pair<const char*, const char*>> answers = {{"Yes ", "yes"}, {"yes", "no"},   {"yes", "yes"},
                                                                    {"no", "yes"},   {"Yes.", "yes"}, {"no", "no"}};
  const auto figure = [&](const std::string& metric) {
    std::vector<MetricValue> values;
    for (const auto& [said, truth] : answers) values.push_back(text_metric(metric, said, Texts{truth}, {}));
    return aggregate(metric, values);
  };
  EXPECT_EQ(figure("pope_accuracy"), 3 / 6.0) << "a full stop is no part of yes";
  EXPECT_EQ(figure("pope_precision"), 2 / 3.0);
  EXPECT_EQ(figure("pope_recall"), 2 / 3.0) << "what is neither yes nor no was not missed";
  EXPECT_DOUBLE_EQ(figure("pope_f1_score"), 2 / 3.0);
  EXPECT_EQ(figure("pope_yes_ratio"), 3 / 6.0);
}

TEST(Pope, nothing_to_divide_by_gives_zero) {
  for (const char* metric : {"pope_precision", "pope_recall", "pope_f1_score", "pope_yes_ratio"})
    EXPECT_EQ(aggregate(metric, std::vector{text_metric(metric, "?", Texts{"no"}, {})}), 0.0) << metric;
}

TEST(Macro, categories_weigh_the_same) {
  std::vector<MetricValue> values;
  for (const auto& [said, group] : {std::pair("A", "x"), {"A", "x"}, {"B", "x"}, {"A", "y"}})
    values.push_back(text_metric("exact_match_macro", said, Texts{"A"}, {{"group", group}}));
  EXPECT_DOUBLE_EQ(aggregate("exact_match_macro", values), (2 / 3.0 + 1) / 2);
  EXPECT_EQ(standard_error("exact_match_macro", values, {}), std::nullopt);
}

MetricValue turn(const char* said, const Json& index) {
  return text_metric("exact_match_circular", said, Texts{"A"}, {{"index", index}});
}

TEST(Circular, a_question_is_right_in_all_its_turns) {
  EXPECT_EQ(aggregate("exact_match_circular", std::vector{turn("A", 7), turn("A", "1000007"), turn("A", 8),
                                                          turn("B", 2000008), turn("A", 1000009)}),
            0.5)
      << "the third has lost its first turn";
}

TEST(Circular, an_index_is_a_whole_number) {
  for (const Json& index : {Json("x"), Json(""), Json(1.5), Json(-1)})
    EXPECT_THROW(turn("A", index), InputError) << index;
}

TEST(SetMetrics, need_to_know_what_a_row_belongs_to) {
  const auto refused = [](const char* metric, const Json& options) {
    EXPECT_THROW(check_text_metric_options(metric, options, "t.yaml: metrics"), UsageError) << metric << options;
  };
  refused("mme_perception_score", {{"category", "{{category}}"}});
  refused("mme_cognition_score", {{"category", "{{c}}"}, {"image", "{{i}}"}, {"other", 1}});
  refused("exact_match_macro", {{"group", true}});
  refused("exact_match_circular", Json::object());
  refused("avg@2", {{"by", "exact_match_macro"}, {"group", "x"}});
  refused("contains", {{"ignore_spaces", 1}});
  refused("anls", {{"threshold", 0.5}});
  EXPECT_NO_THROW(check_text_metric_options("exact_match_macro", {{"group", "{{category}}"}}, "t"));
}

}  // namespace
}  // namespace proctor
