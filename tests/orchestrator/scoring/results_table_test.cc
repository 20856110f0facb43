// lm-eval's make_table (0.4.13) on the same results, but for the width of its columns of arrows and its digits.
#include "orchestrator/scoring/results_table.h"

#include <gtest/gtest.h>

#include <vector>

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

/// Of tasks t0, t1, ... of these versions.
std::string table_of(const std::vector<Json>& versions) {
  Json results = {{"results", Json::object()},
                  {"group_subtasks", Json::object()},
                  {"versions", Json::object()},
                  {"n-shot", Json::object()},
                  {"n-samples", Json::object()}};
  for (std::size_t t = 0; t < versions.size(); ++t) {
    const std::string name = "t" + std::to_string(t);
    results["results"][name] = {{"acc,none", 0.5}, {"acc_stderr,none", 0.1}};
    results["group_subtasks"][name] = Json::array();
    results["versions"][name] = versions[t];
    results["n-shot"][name] = 0;
  }
  return results_table(results);
}

TEST(ResultsTable, versions_are_numbers_of_one_width) {
  EXPECT_EQ(table_of({1.0, 2}),
            "|Tasks|Version|Filter|n-shot|Metric| | Value| |Stderr|\n"
            "|-----|------:|------|-----:|------|-|-----:|-|-----:|\n"
            "|t0   |      1|none  |     0|acc   |↑|0.5000|±|0.1000|\n"
            "|t1   |      2|none  |     0|acc   |↑|0.5000|±|0.1000|\n");
  const std::string mixed = table_of({1, 3.1, 1.25});
  EXPECT_NE(mixed.find("|t0   |   1.00|none  |"), std::string::npos) << mixed;
  EXPECT_NE(mixed.find("|t1   |   3.10|none  |"), std::string::npos) << mixed;
  EXPECT_NE(mixed.find("|t2   |   1.25|none  |"), std::string::npos) << mixed;
}

TEST(ResultsTable, a_version_that_is_a_text_makes_the_column_one_of_texts) {
  EXPECT_EQ(table_of({"Yaml", 1.0, 3.1}),
            "|Tasks|Version|Filter|n-shot|Metric| | Value| |Stderr|\n"
            "|-----|-------|------|-----:|------|-|-----:|-|-----:|\n"
            "|t0   |Yaml   |none  |     0|acc   |↑|0.5000|±|0.1000|\n"
            "|t1   |      1|none  |     0|acc   |↑|0.5000|±|0.1000|\n"
            "|t2   |    3.1|none  |     0|acc   |↑|0.5000|±|0.1000|\n");
}

}  // namespace
}  // namespace proctor
