// Expected values: lm-eval 0.4.13's own functions (tests/oracle/make_scoring_goldens.py).
#include "orchestrator/metrics/aggregation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

namespace proctor {
namespace {

std::vector<MetricValue> plain(const nlohmann::json& values) {
  std::vector<MetricValue> out;
  for (const auto& value : values)
    out.push_back(value.is_array() ? MetricValue{value[0], value[1]} : MetricValue{value.get<double>()});
  return out;
}

class Goldens : public testing::Test {
 protected:
  Goldens() { std::ifstream(PROCTOR_SOURCE "/tests/data/goldens/scoring_goldens.json") >> json; }
  nlohmann::json json;
};

TEST_F(Goldens, every_aggregation_and_error_to_the_last_digit) {
  // The goldens were made by CPython 3.11, whose sum() is naive.
  for (const auto& golden : json["metrics"]) {
    const std::string metric = golden["metric"];
    const auto values = plain(golden["values"]);
    EXPECT_EQ(aggregate(metric, values, PythonSum::naive), golden["value"].get<double>()) << metric;
    const auto error = standard_error(metric, values, {golden["iterations"], PythonSum::naive});
    const auto expected =
        golden["stderr"].is_null() ? std::nullopt : std::optional<double>(golden["stderr"].get<double>());
    EXPECT_EQ(error, expected) << metric;
  }
}

TEST_F(Goldens, groups_are_pooled) {
  for (const auto& golden : json["groups"]) {
    std::vector<GroupMember> members;
    for (const auto& row : golden["members"]) members.push_back({row[0], row[1].get<double>(), row[2]});
    EXPECT_EQ(group_value(members, PythonSum::naive), golden["value"].get<double>());
    EXPECT_EQ(group_error(members, PythonSum::naive), golden["stderr"].get<double>());
  }
}

TEST(PythonSum, compensates_from_3_12_on) {
  const std::vector<double> values = {1e16, 1.0, -1e16};
  EXPECT_EQ(python_sum(values, PythonSum::naive), 0.0);
  EXPECT_EQ(python_sum(values, PythonSum::compensated), 1.0);
}

TEST(StandardError, one_document_has_none) { EXPECT_FALSE(standard_error("acc", plain({1.0}), {}).has_value()); }

}  // namespace
}  // namespace proctor
