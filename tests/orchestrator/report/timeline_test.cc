#include "orchestrator/report/timeline.h"

#include <gtest/gtest.h>

namespace proctor {
namespace {

/// Two devices: a visit of a gang of two, then one that was lost on the first.
Timeline timeline() {
  const auto line = [](std::uint32_t visit, const char* module, std::uint32_t slot, double opened, double closed) {
    LedgerLine line;
    line.visit = VisitId{visit};
    line.module = module;
    line.worker = {AgentId{0}, slot};
    line.opened_s = opened;
    line.closed_s = closed;
    line.row.load_s = 1;
    line.row.teardown_s = 0.5;
    return line;
  };
  LedgerLine lost = line(2, "b<2>", 0, 10, 20);
  lost.lost_s = 4.0;
  return run_timeline("runs/x", {line(1, "a", 0, 0, 10), line(1, "a", 1, 0, 10), lost},
                      {{{"visit", 1}, {"shard", 7}, {"module", "a"}, {"task", "t"}, {"begin_s", 2.0}, {"run_s", 3.0}}});
}

TEST(Timeline, a_line_a_device_adds_up_to_the_whole_time) {
  const std::string text = timeline_text(timeline());
  EXPECT_NE(
      text.find("0.0       ---aaaaaaaaaaaaaaaaaaaaaaaaaa|---bbbbbbbbbbbbbbb!!!!!!!!!!!!     2.00    13.50    0.500 "
                "    4.00     0.00\n"),
      std::string::npos)
      << text;
  EXPECT_NE(
      text.find("0.1       ---aaaaaaaaaaaaaaaaaaaaaaaaaa|..............................     1.00     8.50    0.500 "
                "    0.00    10.00\n"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("a a, b b<2>"), std::string::npos);
}

TEST(Timeline, the_trace_has_each_visit_and_each_shard_on_its_devices) {
  const auto trace = nlohmann::json::parse(timeline_trace(timeline()));
  std::size_t shards = 0;
  for (const auto& event : trace.at("traceEvents")) {
    if (event["ph"] != "X") continue;
    EXPECT_GE(event["ts"].get<std::int64_t>(), 0);
    if (event["name"] != "t, shard 7") continue;
    ++shards;
    EXPECT_EQ(event["ts"], 2000000);
    EXPECT_EQ(event["dur"], 3000000);
  }
  EXPECT_EQ(shards, 2u) << "both members compute it";
}

TEST(Timeline, the_picture_names_devices_modules_and_seconds) {
  const std::string svg = timeline_svg(timeline());
  for (const char* part : {">runs/x: 20.0 s</text>", ">0.1</text>", ">20 s</text>", ">b&lt;2&gt;</text>", "pale: load",
                           "<title>a: run 8.50 s, from 1.00 s</title>"})
    EXPECT_NE(svg.find(part), std::string::npos) << part;
  EXPECT_EQ(svg.find("b<2>"), std::string::npos);
}

TEST(Timeline, a_run_without_visits_has_an_empty_one) {
  EXPECT_NE(timeline_text(run_timeline("r", {}, {})).find("r: 0.0 s"), std::string::npos);
  EXPECT_NE(timeline_svg(run_timeline("r", {}, {})).find("</svg>"), std::string::npos);
}

}  // namespace
}  // namespace proctor
