#include "orchestrator/metrics/verdicts.h"

#include <gtest/gtest.h>

#include <array>

#include "orchestrator/metrics/text_metric_table.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

double said(const std::string& metric, const std::string& one, const std::string& swapped, VerdictWords words = {}) {
  return verdict(metric, std::array{one, swapped}, words);
}

TEST(Verdict, an_answer_wins_where_it_is_preferred_in_both_orders) {
  EXPECT_EQ(said("preference", "A", "B"), 1);
  EXPECT_EQ(said("preference", " B\n", "A"), 0);
  EXPECT_EQ(said("preference", "A", "A"), 0.5) << "whichever stood first";
  EXPECT_EQ(said("preference", "A", "neither"), 0.5);
  EXPECT_EQ(said("preference", "a", "b"), 0.5) << "other words are for none";
  EXPECT_EQ(said("preference", "one", "two", {"one", "two"}), 1);
}

TEST(Verdict, is_consistent_where_both_are_for_one_answer_or_none) {
  EXPECT_EQ(said("consistency", "A", "B"), 1);
  EXPECT_EQ(said("consistency", "B", "B"), 0);
  EXPECT_EQ(said("consistency", "tie", "tie"), 1);
  EXPECT_EQ(said("consistency", "A", "tie"), 0);
}

TEST(Number, is_what_the_text_says_or_the_other) {
  const auto number = [](const std::string& text, const nlohmann::json& options = nlohmann::json::object()) {
    return text_metric("number", text, {}, options).value;
  };
  EXPECT_EQ(number(" 4\n"), 4);
  EXPECT_EQ(number("-0.5"), -0.5);
  for (const char* text : {"", "four", "4/5", "4 of 5", "nan", "inf", "1e999"}) {
    EXPECT_EQ(number(text), 0) << text;
    EXPECT_EQ(number(text, {{"otherwise", 1}}), 1) << text;
  }
  EXPECT_THROW(check_text_metric_options("number", {{"otherwise", "x"}}, "t"), UsageError);
  EXPECT_THROW(check_text_metric_options("number", {{"missing", 1}}, "t"), UsageError);
}

}  // namespace
}  // namespace proctor
