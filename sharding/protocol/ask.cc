#include "sharding/protocol/ask.h"

#include <algorithm>
#include <array>
#include <type_traits>

namespace proctor {

const char* to_string(RequestType type) {
  static constexpr std::array<const char*, std::variant_size_v<Ask>> kNames = {
      "loglikelihood", "loglikelihood_rolling", "generate_until", "embed", "score_pair", "compress", "retrieve"};
  return kNames[static_cast<std::size_t>(type)];
}

bool answers(const Answer& answer, const Ask& ask) {
  static_assert(std::variant_size_v<Answer> == std::variant_size_v<Ask> + 1, "an answer for each ask, and none");
  return answer.index() == ask.index() + 1;
}

std::string answer_proper(const GenerateAnswer& answer) {
  if (!answer.trace) return answer.text;
  if (answer.trace->end == ReasoningTrace::End::none) return "";
  return answer.text.substr(std::min(answer.trace->answer_at, answer.text.size()));
}

std::int64_t truncated_of(const Answer& answer) {
  return std::visit(
      [](const auto& body) -> std::int64_t {
        if constexpr (requires { body.truncated; })
          return body.truncated;
        else
          return 0;
      },
      answer);
}

}  // namespace proctor
