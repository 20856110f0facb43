#include "orchestrator/report/metrics_text.h"

#include <gtest/gtest.h>

namespace proctor {
namespace {

TEST(MetricsText, families_stand_together_and_labels_are_escaped) {
  MetricsText text(MetricsText::Labels{{"run", "a\\b\"c\nd"}});
  text.add("x_seconds", "How long.", 1.5);
  text.add("y", "Several.", 1, {{"k", "1"}});
  text.add("x_seconds", "How long.", 1e300, {{"k", "2"}});
  EXPECT_EQ(text.text(),
            "# TYPE x_seconds gauge\n# HELP x_seconds How long.\n"
            "x_seconds{run=\"a\\\\b\\\"c\\nd\"} 1.5\n"
            "x_seconds{run=\"a\\\\b\\\"c\\nd\",k=\"2\"} 1e+300\n"
            "# TYPE y gauge\n# HELP y Several.\n"
            "y{run=\"a\\\\b\\\"c\\nd\",k=\"1\"} 1\n# EOF\n");
}

TEST(MetricsText, a_gangs_visit_counts_once_and_energy_is_absent_where_nobody_measured_it) {
  LedgerLine line;
  line.members = 2;
  line.row.allocated_after = 7;
  LedgerLine other = line;
  other.member = 1;
  MetricsText text(MetricsText::Labels{});
  add_ledger_metrics(text, {line, other});
  EXPECT_NE(text.text().find("proctor_visits{verdict=\"clean\"} 1\n"), std::string::npos) << text.text();
  EXPECT_NE(text.text().find("proctor_left_bytes{} 14\n"), std::string::npos);
  EXPECT_EQ(text.text().find("energy"), std::string::npos);
  other.row.outside.emplace().energy_j = 2.5;
  MetricsText measured(MetricsText::Labels{});
  add_ledger_metrics(measured, {line, other});
  EXPECT_NE(measured.text().find("proctor_energy_joules{} 2.5\n"), std::string::npos);
}

}  // namespace
}  // namespace proctor
