#include "sharding/cost.h"

#include <algorithm>

namespace proctor {

double estimated_tokens(const ModelFacts& facts, std::size_t bytes) {
  return bytes == 0 ? 0.0 : std::max(1.0, static_cast<double>(bytes) / facts.bytes_per_token);
}

double forward_flops(const ModelFacts& facts, double tokens, double context) {
  const double width = static_cast<double>(facts.heads * facts.head_dim);
  const double attended = tokens * (context + (tokens + 1) / 2);
  return 2.0 * static_cast<double>(facts.parameters) * tokens +
         4.0 * static_cast<double>(facts.layers) * width * attended;
}

double request_flops(const ModelFacts& facts, const Request& request, std::size_t shared_bytes) {
  double context = shared_bytes == 0 ? 0.0 : estimated_tokens(facts, shared_bytes), flops = 0;
  for (std::size_t i = 0; i < request.parts.size(); ++i) {
    const std::size_t bytes = request.parts[i].size() - (i == 0 ? shared_bytes : 0);
    const double tokens = estimated_tokens(facts, bytes);
    flops += forward_flops(facts, tokens, context);
    context += tokens;
  }
  const auto generated = request.ask.find("max_gen_toks");
  if (generated != request.ask.end()) flops += forward_flops(facts, generated->get<double>() / 2, context);
  return std::max(flops, 1.0);
}

ShardTarget shard_target(const std::string& device_kind) {
  return device_kind == "cpu" ? ShardTarget{4e11, 16} : ShardTarget{4e14, 64};
}

}  // namespace proctor
