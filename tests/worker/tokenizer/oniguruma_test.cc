// Regular expressions of tokenizer.json against what tokenizers makes of them (tests/oracle/make_oniguruma_goldens.py).
#include "worker/tokenizer/oniguruma.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "sharding/protocol/error.h"
#include "worker/tokenizer/pattern.h"

namespace proctor {
namespace {

TEST(Oniguruma, finds_what_tokenizers_finds_or_refuses_by_name) {
  std::ifstream file(PROCTOR_SOURCE "/tests/data/goldens/oniguruma_goldens.json");
  std::size_t same = 0, refused_here = 0, refused_there = 0;
  const nlohmann::json goldens = nlohmann::json::parse(file);
  for (const auto& golden : goldens["cases"]) {
    const std::string pattern = golden["pattern"], text = golden["text"];
    if (golden.contains("refused")) {
      ++refused_there;  // PCRE2 may know what Oniguruma does not
      continue;
    }
    try {
      EXPECT_EQ(Pattern::regex(pattern).replace_all(text, "#"), golden["out"]) << pattern << " on " << text;
      ++same;
    } catch (const InputError& error) {
      ++refused_here;
      EXPECT_NE(std::string(error.what()).find("regular expression '" + pattern + "'"), std::string::npos)
          << error.what();
    }
  }
  EXPECT_GT(same, 1000u);
  EXPECT_LT(refused_here, same / 30) << "lookbehinds of no fixed length";
  EXPECT_GT(refused_there, 0u);
}

TEST(Oniguruma, what_it_has_no_words_for_is_refused_by_name) {
  for (const auto& [pattern, why] :
       {std::pair("(?~ab)", "group option '~'"), std::pair(R"(\y)", R"(\y is not supported)"),
        std::pair("(?W)a", "group option 'W'"), std::pair("(?i)ß", "where case is ignored"),
        std::pair("(?i)ss", "fold to several"), std::pair("[a", "premature end of char-class"),
        std::pair("a)", "unmatched close parenthesis"), std::pair(R"(\xe9)", "multibyte"),
        std::pair(R"(\g<1>)", R"(\g is not supported)"), std::pair("(a", "parenthes")})
    try {
      (void)Pattern::regex(pattern);
      ADD_FAILURE() << pattern;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace proctor
