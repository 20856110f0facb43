#include "sharding/planning/cost.h"

#include <algorithm>
#include <limits>

#include "sharding/images/image_layout.h"

namespace proctor {
namespace {

double longest(const ModelFacts& facts) {
  return facts.max_length > 0 ? static_cast<double>(facts.max_length) : std::numeric_limits<double>::infinity();
}

/// What is longer than max_length is cut, but for texts that are computed in windows or passage by passage.
bool is_cut(const Request& request) {
  return !std::holds_alternative<LoglikelihoodRolling>(request.ask) && !std::holds_alternative<Compress>(request.ask);
}

}  // namespace

double estimated_tokens(const ModelFacts& facts, std::size_t bytes) {
  return bytes == 0 ? 0.0 : std::max(1.0, static_cast<double>(bytes) / facts.bytes_per_token);
}

double forward_flops(const ModelFacts& facts, double tokens, double context) {
  const double width = static_cast<double>(facts.heads * facts.head_dim);
  const double attended = tokens * std::min(context + (tokens + 1) / 2, longest(facts));
  const std::uint64_t active = facts.active_parameters > 0 ? facts.active_parameters : facts.parameters;
  return 2.0 * static_cast<double>(active) * tokens + 4.0 * static_cast<double>(facts.layers) * width * attended;
}

double tokens_of(const ModelFacts& facts, const Part& part) {
  const auto* image = std::get_if<Image>(&part);
  if (!image) return estimated_tokens(facts, text_bytes(part));
  return static_cast<double>(layout_of(facts.vision, image->height, image->width).tokens);
}

RequestCost request_cost(const ModelFacts& facts, const Request& request, SharedBeginning shared) {
  const auto* generate = std::get_if<Generate>(&request.ask);
  const double generated = generate ? static_cast<double>(generate->max_gen_toks) : 0;
  double all = 0;
  for (const Part& part : request.parts) all += tokens_of(facts, part);
  RequestCost cost;
  double context = shared.bytes == 0 ? 0.0 : estimated_tokens(facts, shared.bytes);
  for (std::size_t i = 0; i < shared.parts; ++i) context += tokens_of(facts, request.parts[i]);
  if (const double room = std::max(1.0, longest(facts) - generated); all > room && is_cut(request)) {
    cost = {forward_flops(facts, room, 0), room};  // cut on the left, it shares no beginning
    context = room;
  } else {
    for (std::size_t i = shared.parts; i < request.parts.size(); ++i) {
      const bool begun = i == shared.parts && shared.bytes > 0;
      const double tokens = begun ? estimated_tokens(facts, text_bytes(request.parts[i]) - shared.bytes)
                                  : tokens_of(facts, request.parts[i]);
      cost.flops += forward_flops(facts, tokens, context);
      cost.tokens += tokens;
      context += tokens;
    }
  }
  cost.flops += forward_flops(facts, generated / 2, context);  // some texts stop early
  cost.tokens += generated / 2;
  cost.flops = std::max(cost.flops, 1.0);
  return cost;
}

MemoryNeed memory_need(const ModelFacts& facts, double dtype_bytes, std::uint32_t tensor_parallel, double batch_tokens,
                       double cached_tokens, bool gpu) {
  constexpr double kNcclBytes = 400e6;  // a guess, not measured
  const double share = 1.0 / tensor_parallel, float_bytes = 4;
  const auto width = static_cast<double>(facts.heads * facts.head_dim),
             kv_width = static_cast<double>(facts.kv_heads * facts.head_dim),
             hidden = static_cast<double>(facts.hidden);
  const auto inner = static_cast<double>(facts.feed_forward > 0 ? facts.feed_forward : 3 * facts.intermediate);
  MemoryNeed need;
  need.weights = static_cast<double>(facts.parameters) * dtype_bytes * share;
  need.cache = cached_tokens * 2 * kv_width * static_cast<double>(facts.layers) * dtype_bytes * share;
  // The widest places of a layer, at most: the residual sum and its norm beside either q, k, v and the attention's
  // output or the feed-forward's two halves and their product (which takes the place of one of them in float32 on a
  // CPU). Then the head's chunk, in the dtype and in float32.
  const double attention = (2 * width + 2 * kv_width) * share, feed_forward = inner * share;
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
