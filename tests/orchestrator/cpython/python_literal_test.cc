// Values were printed by Python 3.11; tools/compare_vision_metrics does the same for random texts.
#include "orchestrator/cpython/python_literal.h"

#include <gtest/gtest.h>

#include <cmath>

namespace proctor::python {
namespace {

using Texts = std::vector<std::string>;

TEST(ToFloat, reads_what_pythons_float_reads) {
  EXPECT_EQ(to_float(" 1_000.5e-1\n"), 100.05);
  EXPECT_EQ(to_float("+.5"), 0.5);
  EXPECT_EQ(to_float("-5."), -5.0);
  EXPECT_EQ(to_float("\u0665\uff15\U0001d7d8"), 550.0) << "digits of any script";
  EXPECT_EQ(to_float("-Infinity"), -HUGE_VAL);
  EXPECT_EQ(to_float("1e999"), HUGE_VAL);
  EXPECT_TRUE(std::isnan(to_float("nAn").value()));
}

TEST(ToFloat, is_none_where_python_raises) {
  for (const char* text :
       {"", ".", "1__0", "_1", "1_.5", "1_", "e5", "1e", "0x10", "1,000", "5%", "five", "--5", "\u00bd"})
    EXPECT_EQ(to_float(text), std::nullopt) << text;
}

TEST(ListLiteral, reads_lists_of_texts_and_numbers) {
  EXPECT_EQ(list_literal(" ['<image 1>', \"it's\", 3, 2.50,]"), (Texts{"<image 1>", "it's", "3", "2.5"}));
  EXPECT_EQ(list_literal("[]"), Texts{});
  EXPECT_EQ(list_literal("['a' \"b\"]"), Texts{"ab"}) << "side by side";
}

TEST(ListLiteral, follows_escapes) {
  EXPECT_EQ(list_literal(R"(['\n\'\\ \x41\u00e9\U0001F642\101 \$'])"), Texts{"\n'\\ A\u00e9\U0001F642A \\$"});
}

TEST(ListLiteral, is_none_for_anything_else) {
  for (const char* text :
       {"", "[", "a", "('a',)", "[['a']]", "['a'] x", "['a", "['a' 1]", R"(['\x4'])", "['a\nb']", "[a]"})
    EXPECT_EQ(list_literal(text), std::nullopt) << text;
}

}  // namespace
}  // namespace proctor::python
