// The values of boxed, hendrycks and minerva forms were printed by lm-eval 0.4.13 (tasks/hendrycks_math/utils.py and
// tasks/minerva_math/utils.py, Python 3.11); tools/compare_answers does the same for random texts.
#include "orchestrator/metrics/math_answer.h"

#include <gtest/gtest.h>

#include <string>

#include "orchestrator/metrics/exact_number.h"

namespace proctor {
namespace {

std::string times(int n, const std::string& text) {
  std::string all;
  while (n-- > 0) all += text;
  return all;
}

bool same(const std::string& a, const std::string& b) {
  EXPECT_EQ(math_equal(a, b), math_equal(b, a)) << a << " and " << b;
  return math_equal(a, b);
}

TEST(MathAnswer, boxed_is_the_last_one_and_whole) {
  EXPECT_EQ(boxed_answer(R"(so $\boxed{1}$, no: $\boxed{\frac{1}{2}}$)"), R"(\frac{1}{2})");
  EXPECT_EQ(boxed_answer(R"(\boxed 7$ and \boxed{8})"), "7") << "the form with a space goes first";
  EXPECT_EQ(boxed_answer(R"(\fbox{6})"), "6") << "lm-eval finds it and then refuses it";
  for (const char* none : {R"(\boxed{1)", R"(\boxed5 {x})", "none", ""}) EXPECT_EQ(boxed_answer(none), std::nullopt);
}

TEST(MathAnswer, hendrycks_forms) {
  EXPECT_EQ(hendrycks_normalised(R"(\frac1{72})"), R"(\frac{1}{72})");
  EXPECT_EQ(hendrycks_normalised(R"(x=.5 \text{ cm})"), ".5") << "a zero is put before points that are there earlier";
  EXPECT_EQ(hendrycks_normalised(R"(\left( 1,\!000\right)^\circ)"), "(1,000)");
  EXPECT_EQ(hendrycks_normalised("3/4"), R"(\frac{3}{4})");
  for (const char* raises : {"x/2", R"(\frac)", R"(1\text{ a}\text{ b})"})
    EXPECT_EQ(hendrycks_normalised(raises), std::nullopt);
  EXPECT_TRUE(hendrycks_equal("0.5", R"(\dfrac12)"));
  EXPECT_TRUE(hendrycks_equal("x/2", "x/2"));
  EXPECT_FALSE(hendrycks_equal("x/2", "x /2"));
}

TEST(MathAnswer, minerva_forms) {
  EXPECT_EQ(minerva_normalised(R"(x = 2\pi cm)"), R"(2\pi)");
  EXPECT_EQ(minerva_normalised(R"(\left(1,2\right])"), R"(\left(1,2\right])") << "its ft is no unit";
  EXPECT_EQ(minerva_normalised("100,000 square feet"), "100000");
  EXPECT_EQ(minerva_normalised(R"(\text{(A)}\textbf{B}\overline{CD})"), "(A)BCD");
  EXPECT_EQ(minerva_normalised(R"(\sqrt[3]8+\sqrt2)"), R"(\sqrt[3]{8}+\sqrt{2})");
  EXPECT_EQ(minerva_normalised("a\nb$c$d\n$e$"), "a\nc\ne") << "line by line";
  EXPECT_EQ(minerva_answer(R"(Final Answer: The final answer is $\frac12$. I hope it is correct.)"), R"(\frac{1}{2})");
  EXPECT_EQ(minerva_answer("Final Answer: The final answer is 5. "), "5");
  EXPECT_EQ(minerva_answer("Final Answer: The final answer is\n5. I hope it is correct."), "[invalidanswer]");
}

TEST(MathAnswer, numbers_are_equal_by_their_exact_value) {
  EXPECT_TRUE(same("0.1", "1/10") && same("-0", "0.0") && same("1e400", "10e399"));
  EXPECT_TRUE(same("1,000", "1e3") && same(R"(1{,}234{,}567)", "1234567."));
  EXPECT_TRUE(same(R"(-\tfrac{1}{3})", "2/-6") && same(R"(\boxed{1.5 \times 10^{-3}})", "$0.00150$"));
  EXPECT_FALSE(same("0.3", "0.30000000000000000000000000001"));
  EXPECT_FALSE(same("1/0", "2/0") || same("1,23", "123") || same("1", "-1"));
  EXPECT_TRUE(same("50%", R"(50.0\%)"));
  EXPECT_FALSE(same("50%", "50"));
  EXPECT_FALSE(same("a ", "meters") || same("", "0")) << "nothing is left of both";
  EXPECT_FALSE(same("no answer", "none here")) << "both are [invalidanswer] to minerva_answer";
}

TEST(MathAnswer, hostile_texts_end_soon) {
  EXPECT_FALSE(math_equal("1e999999999", "1e999999998"));
  EXPECT_TRUE(math_equal("1e999999999", "10e999999998"));
  EXPECT_FALSE(exact_number("1e1" + times(30, "0")) || exact_number(times(5000, "7")));
  for (const std::string& text : {R"(\boxed)" + times(100'000, "{"), times(100'000, R"(\frac{)") + times(100'000, "}"),
                                  times(50'000, R"(\sqrt[)") + "]", times(4000, "7") + "/" + times(4000, "3")}) {
    EXPECT_TRUE(math_equal(text, text));
    EXPECT_FALSE(math_equal(text, "1/7"));
  }
}

}  // namespace
}  // namespace proctor
