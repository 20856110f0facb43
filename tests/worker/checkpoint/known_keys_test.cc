#include "worker/checkpoint/known_keys.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

/// The section of docs/compatibility.md that begins with a file's name.
std::string section_of(const std::string& file) {
  std::ifstream stream(PROCTOR_SOURCE "/docs/compatibility.md");
  std::ostringstream all;
  all << stream.rdbuf();
  const std::string text = all.str(), title = "## " + file;
  const std::size_t begin = text.find(title);
  return begin == std::string::npos ? "" : text.substr(begin, text.find("\n## ", begin + 1) - begin);
}

TEST(KnownKeys, are_those_of_the_documentation) {
  for (const KnownKeys& known : known_keys()) {
    const std::string section = section_of(known.file);
    ASSERT_NE(section, "") << known.file;
    for (const auto* keys : {&known.read, &known.idle})
      for (const std::string& key : *keys)
        EXPECT_NE(section.find("`" + key + "`"), std::string::npos) << known.file << ": " << key;
    for (const std::string& key : known.read) EXPECT_FALSE(known.idle.contains(key)) << known.file << ": " << key;
  }
}

TEST(KnownKeys, others_are_told_by_name) {
  EXPECT_EQ(
      unknown_keys({{"eos_token_id", 2}, {"temperature", 1}, {"zeta", 1}, {"alpha", 2}}, "generation_config.json"),
      (std::vector<std::string>{"alpha", "zeta"}));
  EXPECT_EQ(unknown_keys(nullptr, "generation_config.json"), std::vector<std::string>{});
  EXPECT_NO_THROW(refuse_unknown_keys({{"dim", 128}, {"lr", 1e-5}, {"new", nullptr}}, "artifact.metadata", "m"));
  try {
    refuse_unknown_keys({{"doc_maxlem", 300}}, "artifact.metadata", "m/artifact.metadata");
    ADD_FAILURE();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("m/artifact.metadata: \"doc_maxlem\" = 300"), std::string::npos);
  }
}

}  // namespace
}  // namespace proctor
