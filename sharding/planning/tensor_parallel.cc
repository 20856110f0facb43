#include "sharding/planning/tensor_parallel.h"

namespace proctor {

std::optional<std::string> cannot_split(const ModelFacts& facts, std::uint32_t members) {
  const auto undivided = [&](std::uint64_t size, const char* what) {
    return std::to_string(size) + " " + what + " cannot be divided by " + std::to_string(members);
  };
  if (members == 0) return "a gang has at least one member";
  if (members == 1) return std::nullopt;
  if (facts.heads % members != 0) return undivided(facts.heads, "attention heads");
  if (facts.intermediate % members != 0) return undivided(facts.intermediate, "feed-forward rows");
  if (facts.kv_heads % members != 0 && members % facts.kv_heads != 0)
    return undivided(facts.kv_heads, "key-value heads") + ", nor replicated to it";
  if (facts.vocabulary < members) return undivided(facts.vocabulary, "vocabulary rows");
  return std::nullopt;
}

std::string usable_sizes(const ModelFacts& facts, std::uint32_t most) {
  std::string sizes;
  for (std::uint32_t size = 1; size <= most; ++size)
    if (!cannot_split(facts, size)) sizes += (sizes.empty() ? "" : ", ") + std::to_string(size);
  return sizes;
}

}  // namespace proctor
