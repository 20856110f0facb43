// Traces token by token: tags cut over tokens, budgets, answers without one.
#include "worker/postprocessing/reasoning_watch.h"

#include <gtest/gtest.h>

namespace proctor {
namespace {

using End = ReasoningTrace::End;

/// A token is a byte.
std::string decode(std::span<const TokenId> ids) { return {ids.begin(), ids.end()}; }
Tokens bytes(const std::string& text) { return {text.begin(), text.end()}; }

struct Outcome {
  std::string text;
  std::optional<ReasoningTrace> trace;
  std::size_t stops_counted = 0;  // tokens after which a stop string would count
};

/// What becomes of a model that would write this.
Outcome written(const std::string& writes, bool opened, std::optional<std::int64_t> budget = std::nullopt) {
  ReasoningWatch watch({"<t>", "</t>", opened, budget}, bytes("</t>"));
  Tokens generated;
  Outcome outcome;
  for (std::size_t next = 0; next < writes.size();) {
    if (const auto forced = watch.forced(generated.size()))
      generated.push_back(*forced);
    else
      generated.push_back(writes[next++]);
    watch.see(generated, decode);
    outcome.stops_counted += !watch.is_reasoning();
  }
  outcome.text = decode(generated);
  outcome.trace = watch.trace(outcome.text, generated.size());
  return outcome;
}

TEST(ReasoningWatch, an_answer_begins_behind_the_end_of_its_trace) {
  const Outcome own = written(" <t>why\n\nso</t>\n\n42", false);
  EXPECT_EQ(own.trace->end, End::own);
  EXPECT_EQ(own.trace->tokens, 15);
  EXPECT_EQ(own.text.substr(own.trace->answer_at), "42");
  EXPECT_EQ(own.stops_counted, 5u) << "of the last token of the trace and of the answer's";
  const Outcome opened = written("why</t>42", true);
  EXPECT_EQ(opened.text.substr(opened.trace->answer_at), "42");
  const Outcome twice = written("why</t>no</t> yes", true);
  EXPECT_EQ(twice.text.substr(twice.trace->answer_at), "yes") << "behind the last, as lm-eval's think_end_token";
  EXPECT_EQ(twice.trace->tokens, 13);
}

TEST(ReasoningWatch, a_trace_that_never_ends_leaves_no_answer) {
  for (const Outcome& one : {written("<t>why and why", false), written("why and </t", true)}) {
    EXPECT_EQ(one.trace->end, End::none);
    EXPECT_EQ(one.trace->tokens, static_cast<std::int64_t>(one.text.size()));
    EXPECT_EQ(one.trace->answer_at, one.text.size());
    EXPECT_EQ(one.stops_counted, 0u);
  }
}

TEST(ReasoningWatch, at_its_budget_the_end_is_forced_and_the_answer_goes_on) {
  const Outcome one = written("<t>why and why; 42", false, 6);
  EXPECT_EQ(one.text, "<t>why</t> and why; 42");
  EXPECT_EQ(one.trace->end, End::budget);
  EXPECT_EQ(one.trace->tokens, 10);
  EXPECT_EQ(one.text.substr(one.trace->answer_at), "and why; 42");
  EXPECT_EQ(written("abc", true, 0).text, "</t>abc");
  const Outcome early = written("<t>a</t>b", false, 20);
  EXPECT_EQ(early.trace->end, End::own);
  EXPECT_EQ(written("no trace at all", false, 3).text, "no trace at all") << "a budget is of a trace";
}

TEST(ReasoningWatch, an_answer_without_a_trace_is_whole) {
  const Outcome one = written("<b>42", false);
  EXPECT_EQ(one.trace->tokens, 0);
  EXPECT_EQ(one.trace->answer_at, 0u);
  EXPECT_EQ(one.stops_counted, 4u) << "from the first byte on that is not the tag's";
  EXPECT_FALSE(ReasoningWatch().trace("x", 1));
  EXPECT_FALSE(ReasoningWatch().is_reasoning());
}

}  // namespace
}  // namespace proctor
