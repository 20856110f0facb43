// The kind longllmlingua against llmlingua 0.2.2 (tests/oracle/make_compress_goldens.py), and what a batch may not
// change.
#include <gtest/gtest.h>

#include <optional>

#include "tests/worker/support/goldens.h"
#include "worker/kinds/kinds.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

Json cases() { return goldens("compress_goldens.json")["cases"]; }

std::vector<Request> requests() {
  std::vector<Request> all;
  const Json goldens = cases();
  for (const Json& golden : goldens) {
    std::vector<Part> parts;
    for (const std::string passage : golden["passages"]) parts.emplace_back(passage);
    parts.emplace_back(golden["question"].get<std::string>());
    all.push_back({std::move(parts), Compress{golden["target_tokens"]}});
  }
  return all;
}

std::vector<Response> answers(std::int64_t batch_tokens, std::optional<std::int64_t> max_length = {},
                              std::vector<std::uint32_t> aside = {}) {
  Module module;
  module.kind = "longllmlingua";
  module.path = tiny_model("llama_long");
  module.max_length = max_length;
  const auto device = make_cpu_device();
  const auto solo = make_solo_communicator();
  BatchCleanup cleanup({}, *device);
  const auto open = find_kind(module.kind).open(module, *device, *solo, kQuiet);
  const std::vector<Request> all = requests();
  return open->run({all, batch_tokens, {}, aside}, cleanup, kQuiet);
}

TEST(Compress, keeps_the_tokens_that_llmlingua_keeps_at_every_batch_size) {
  const Json all = cases();
  for (const std::int64_t batch_tokens : {256, 2048, 8192}) {
    const std::vector<Response> got = answers(batch_tokens);
    ASSERT_EQ(got.size(), 5u);
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].error, "");
      const auto& answer = std::get<CompressAnswer>(got[i].answer);
      EXPECT_EQ(answer.text, all[i]["text"]) << batch_tokens << " " << i;
      EXPECT_EQ(answer.kept, static_cast<std::int64_t>(answer.text.size())) << "a byte is a token";
      std::size_t before = 0;
      for (const std::string passage : all[i]["passages"]) before += passage.size();
      EXPECT_EQ(answer.before, static_cast<std::int64_t>(before));
    }
  }
}

TEST(Compress, passages_past_the_models_length_cost_their_request_only) {
  const std::vector<Response> got = answers(2048, 300);
  EXPECT_NE(got[4].error.find("longer than max_length 300"), std::string::npos);
  EXPECT_EQ(std::get<CompressAnswer>(got[3].answer).text, "short\n\nshorter");
}

TEST(Compress, a_request_set_aside_is_not_computed) {
  const std::vector<Response> got = answers(2048, {}, {1}), whole = answers(2048);
  EXPECT_FALSE(has_answer(got[1]));
  EXPECT_EQ(got[2].answer, whole[2].answer);
}

}  // namespace
}  // namespace proctor
