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

RequestCost request_cost(const ModelFacts& facts, const Request& request, std::size_t shared_bytes) {
  double context = shared_bytes == 0 ? 0.0 : estimated_tokens(facts, shared_bytes);
  RequestCost cost;
  for (std::size_t i = 0; i < request.parts.size(); ++i) {
    const std::size_t bytes = request.parts[i].size() - (i == 0 ? shared_bytes : 0);
    const double tokens = estimated_tokens(facts, bytes);
    cost.flops += forward_flops(facts, tokens, context);
    cost.tokens += tokens;
    context += tokens;
  }
  const auto generated = request.ask.find("max_gen_toks");
  if (generated != request.ask.end()) {
    const double half = generated->get<double>() / 2;  // some texts stop early
    cost.flops += forward_flops(facts, half, context);
    cost.tokens += half;
  }
  cost.flops = std::max(cost.flops, 1.0);
  return cost;
}

MemoryNeed memory_need(const ModelFacts& facts, double dtype_bytes, std::uint32_t tensor_parallel, double batch_tokens,
                       double cached_tokens, bool gpu) {
  constexpr double kNcclBytes = 400e6;  // a guess, not measured
  const double share = 1.0 / tensor_parallel, float_bytes = 4;
  const auto width = static_cast<double>(facts.heads * facts.head_dim),
             kv_width = static_cast<double>(facts.kv_heads * facts.head_dim),
             hidden = static_cast<double>(facts.hidden), inner = static_cast<double>(facts.intermediate);
  MemoryNeed need;
  need.weights = static_cast<double>(facts.parameters) * dtype_bytes * share;
  need.cache = cached_tokens * 2 * kv_width * static_cast<double>(facts.layers) * dtype_bytes * share;
  // The widest places of a layer, at most: the residual sum and its norm beside either q, k, v and the attention's
  // output or the feed-forward's two halves and their product (which takes the place of one of them in float32 on a
  // CPU). Then the head's chunk, in the dtype and in float32.
  const double attention = (2 * width + 2 * kv_width) * share, feed_forward = 3 * inner * share;
  const double layer = batch_tokens * dtype_bytes * (2 * hidden + std::max(attention, feed_forward));
  const double head = static_cast<double>(head_rows(gpu)) * static_cast<double>(facts.vocabulary) * share *
                      (float_bytes + (dtype_bytes < float_bytes ? dtype_bytes : 0));
  need.activations = std::max(layer, head + batch_tokens * dtype_bytes * hidden);
  need.communicator = gpu && tensor_parallel > 1 ? kNcclBytes : 0;
  return need;
}

ShardTarget shard_target(const std::string& device_kind) {
  return device_kind == "cpu" ? ShardTarget{4e11, 16} : ShardTarget{4e14, 64};
}

}  // namespace proctor
