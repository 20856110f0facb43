#include "orchestrator/metrics/filters.h"

#include <gtest/gtest.h>

#include "orchestrator/metrics/quasi_match.h"
#include "orchestrator/metrics/regex.h"
#include "orchestrator/metrics/text_metrics.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Texts = std::vector<std::string>;
using Json = nlohmann::json;

Texts run(const std::string& function, const Json& options, const Texts& responses) {
  return apply_filter({"f", {{function, options}}}, responses);
}

TEST(Filters, regex_takes_the_selected_match_or_the_fallback) {
  const Json strict = {{"regex_pattern", R"(#### (\-?[0-9\.\,]+))"}};
  EXPECT_EQ(run("regex", strict, {"so 4\n#### 18 "}), Texts{"18"});
  EXPECT_EQ(run("regex", strict, {"eighteen"}), Texts{"[invalid]"});
  const Json flexible = {{"regex_pattern", R"((-?[$0-9.,]{2,})|(-?[0-9]+))"}, {"group_select", -1}};
  EXPECT_EQ(run("regex", flexible, {"first 12 then 7"}), Texts{"7"})
      << "the last match, its first group that is not empty";
  EXPECT_EQ(run("regex", {{"regex_pattern", R"((?<=answer: )\w+\Z)"}}, {"answer: yes"}), Texts{"yes"});
}

TEST(Filters, the_others) {
  EXPECT_EQ(run("take_first", {}, {"a", "b"}), Texts{"a"});
  EXPECT_EQ(run("take_first_k", {{"k", 2}}, {"a", "b", "c"}), (Texts{"a", "b"}));
  EXPECT_EQ(run("majority_vote", {}, {"b", "a", "a", "b"}), Texts{"b"}) << "the first seen among equals";
  EXPECT_EQ(run("remove_whitespace", {}, {" x\n"}), Texts{"x"});
  EXPECT_EQ(run("lowercase", {}, {"ÀB"}), Texts{"àb"});
  EXPECT_EQ(run("uppercase", {}, {"aß"}), Texts{"ASS"});
  EXPECT_EQ(run("map", {{"mapping_dict", {{"A", "0"}}}, {"default_value", "?"}}, {"A", "Z"}), (Texts{"0", "?"}));
}

TEST(Filters, wrong_ones_are_named_with_what_there_is) {
  const auto refusal = [](const FilterStep& step) {
    try {
      check_filter({"f", {step}}, "t.yaml:3:5");
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(refusal({"regx", {}}).find("t.yaml:3:5: filter 'regx' is not known (known: take_first"), std::string::npos);
  EXPECT_NE(refusal({"regex", {{"regex_pattern", "("}}}).find("regular expression '('"), std::string::npos);
  EXPECT_NE(refusal({"take_first_k", {{"k", "two"}}}).find("take_first_k"), std::string::npos);
}

TEST(Regex, finds_empty_matches_as_python_does) {
  EXPECT_EQ(Regex("x*", "t").find_all("axb").size(), 4u) << "re.findall('x*', 'axb') == ['', 'x', '', '']";
  EXPECT_EQ(Regex("[,$]", "t").remove_all("$1,000"), "1000");
}

TEST(Regex, a_pattern_that_explodes_is_stopped) {
  EXPECT_THROW(Regex("(a+)+$", "t").find_all(std::string(60, 'a') + "b"), InputError);
}

TEST(ExactMatch, ignores_what_it_is_told_in_lm_evals_order) {
  EXPECT_EQ(exact_match("A", "a", {}), 0.0);
  EXPECT_EQ(exact_match("A", "a", {{"ignore_case", true}}), 1.0);
  EXPECT_EQ(exact_match("$1,000.", "1000", {{"regexes_to_ignore", {",", "\\$", "\\.$"}}}), 1.0);
  EXPECT_EQ(exact_match("a1!", "a", {{"ignore_punctuation", true}, {"ignore_numbers", true}}), 1.0);
  EXPECT_THROW(check_exact_match_options({{"ignore_cas", true}}, "t"), UsageError);
}

TEST(TokenF1, is_squads) {
  EXPECT_EQ(token_f1("the cat sat", "a cat"), 2 * 0.5 * 1.0 / 1.5);
  EXPECT_EQ(token_f1("", ""), 1.0);
  EXPECT_EQ(token_f1("a\xC2\xA0"
                     "b c",
                     "b c"),
            1.0)
      << "white space as Python's str.split has it";
  EXPECT_EQ(token_f1("dog", "cat"), 0.0);
}

}  // namespace
}  // namespace proctor
