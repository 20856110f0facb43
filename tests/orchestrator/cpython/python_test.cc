// Expected values were made by CPython 3.12; each line can be pasted into it.
#include <gtest/gtest.h>

#include "orchestrator/cpython/python_random.h"
#include "orchestrator/cpython/python_text.h"

namespace proctor::python {
namespace {

using Ids = std::vector<std::uint32_t>;

TEST(PythonRandom, gives_cpythons_numbers) {
  Random random(42);
  EXPECT_EQ(random.random(), 0.6394267984578837);
  EXPECT_EQ(random.random(), 0.025010755222666936);
  EXPECT_EQ(Random(1234).random(), 0.9664535356921388);
  EXPECT_EQ(Random(1ull << 40).random(), 0.1036394562812375);
}

TEST(PythonRandom, samples_by_pool_and_by_set) {
  EXPECT_EQ(Random(1234).sample(10, 5), (Ids{7, 1, 0, 9, 4}));
  EXPECT_EQ(Random(1234).sample(1000, 6), (Ids{989, 796, 451, 119, 7, 92}));
  EXPECT_EQ(Random(7).sample(3, 3), (Ids{1, 0, 2}));
}

TEST(PythonRandom, shuffles) { EXPECT_EQ(Random(42).shuffled(8), (Ids{3, 4, 6, 7, 2, 5, 0, 1})); }

TEST(PythonText, float_repr_is_the_shortest_that_reads_back) {
  const std::pair<double, const char*> cases[] = {{0.1, "0.1"},
                                                  {1.0, "1.0"},
                                                  {-0.0, "-0.0"},
                                                  {1e16, "1e+16"},
                                                  {123456789012345680.0, "1.2345678901234568e+17"},
                                                  {1e-5, "1e-05"},
                                                  {0.0001, "0.0001"},
                                                  {1e22, "1e+22"},
                                                  {5e-324, "5e-324"},
                                                  {-23.254154205322266, "-23.254154205322266"},
                                                  {100000.0, "100000.0"}};
  for (const auto& [value, expected] : cases) EXPECT_EQ(float_repr(value), expected);
}

TEST(PythonText, str_and_repr_of_values) {
  EXPECT_EQ(str(Json("it's")), "it's");
  EXPECT_EQ(str(Json::parse(R"(["it's", "a\"b'c", 1, 2.5, true, null, {"k": "v"}])")),
            R"(["it's", 'a"b\'c', 1, 2.5, True, None, {'k': 'v'}])");
  EXPECT_EQ(repr(Json("\n\x01\xC2\xA0\xC3\xA9")), "'\\n\\x01\\xa0\xC3\xA9'");
}

TEST(PythonText, json_dumps_as_cpython) {
  const Json json = Json::parse(R"({"b": [1, 2.0, "é😀\u0001"], "a": {}, "c": []})");
  EXPECT_EQ(json_dumps(json, Ascii::escape), R"({"b": [1, 2.0, "\u00e9\ud83d\ude00\u0001"], "a": {}, "c": []})");
  EXPECT_EQ(json_dumps(json, Ascii::keep, 2),
            "{\n  \"b\": [\n    1,\n    2.0,\n    \"é😀\\u0001\"\n  ],\n  \"a\": {},\n  \"c\": []\n}");
}

TEST(PythonText, lengths_and_words) {
  EXPECT_EQ(length("a\xC3\xA9\xF0\x9F\x98\x80"), 3u);
  EXPECT_EQ(count_words(" a  b\n"), 4u) << "re.split gives empty strings at both ends";
  EXPECT_EQ(count_words(""), 1u);
  EXPECT_EQ(strip("\xC2\xA0 x \x1C"), "x");
  EXPECT_EQ(lower("AÉ\xC4\xB0"), "aéi\xCC\x87");
  EXPECT_EQ(lower("ΣΑΣ ΑΣ. Σ ΑΣ'Β"), "σας ας. σ ασ'β") << "the sigma that ends a word";
  EXPECT_EQ(capitalize("straße ΑΣ. X"), "Straße ας. x");
  EXPECT_EQ(capitalize("ﬁx ŉ"), "Fix ŉ");
  EXPECT_EQ(capitalize("ßA"), "Ssa");
  EXPECT_EQ(capitalize("ǆX"), "ǅx");
  EXPECT_EQ(capitalize("İx"), "İx");
  EXPECT_EQ(capitalize(""), "");
  EXPECT_EQ(upper("straße ﬁ ŉ ǆ ΐ"), "STRASSE FI ʼN Ǆ Ι\xCC\x88\xCC\x81");
  EXPECT_EQ(split("a\xC2\xA0"
                  "b\xE3\x80\x80\x1C c\n"),
            (std::vector<std::string>{"a", "b", "c"}));
}

}  // namespace
}  // namespace proctor::python
