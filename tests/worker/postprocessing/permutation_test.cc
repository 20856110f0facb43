#include "worker/postprocessing/permutation.h"

#include <gtest/gtest.h>

namespace proctor {
namespace {

using Places = std::vector<std::size_t>;

TEST(Permutation, is_read_as_rankgpt_reads_it) {
  EXPECT_EQ(read_permutation("[2] > [1] > [3]", 3), (Places{1, 0, 2}));
  EXPECT_EQ(read_permutation("[3] > [3] > [9] > [0]", 3), (Places{2, 0, 1})) << "twice, too far, from nought";
  EXPECT_EQ(read_permutation("the best is 2, then 3.", 3), (Places{1, 2, 0}));
  EXPECT_EQ(read_permutation("[３] > [１] > [２]", 3), (Places{2, 0, 1})) << "full-width digits, as int() reads them";
  EXPECT_EQ(read_permutation("[٣] > [१] > [𝟚]", 3), (Places{2, 0, 1})) << "Arabic-Indic, Devanagari, mathematical";
  EXPECT_EQ(read_permutation("[²] > [½]", 2), (Places{0, 1})) << "no decimal digits";
  EXPECT_EQ(read_permutation("", 2), (Places{0, 1}));
  EXPECT_EQ(read_permutation("[99999999999999999999999] > [2]", 2), (Places{1, 0}));
  EXPECT_EQ(read_permutation("[1]", 0), Places{});
}

TEST(Permutation, the_prompt_shows_three_hundred_words_of_each_passage) {
  std::string longer;
  for (int i = 0; i < 400; ++i) longer += "w" + std::to_string(i) + " ";
  const std::string prompt =
      permutation_prompt("who", std::vector<std::string>{" one\u2003\x1c passage\u3000", longer});
  EXPECT_NE(prompt.find("user: [1] one passage\nassistant: Received passage [1].\n"), std::string::npos);
  EXPECT_NE(prompt.find("w299\nassistant: Received passage [2].\n"), std::string::npos);
  EXPECT_NE(prompt.find("Rank the 2 passages above"), std::string::npos);
  EXPECT_TRUE(prompt.ends_with("\nassistant: "));
}

}  // namespace
}  // namespace proctor
