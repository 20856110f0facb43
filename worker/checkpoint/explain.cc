#include "worker/checkpoint/explain.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "worker/checkpoint/families.h"

namespace proctor {
namespace {

using Lines = std::vector<std::pair<std::string, std::string>>;

std::string number(double value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}
std::string number(std::int64_t value) { return std::to_string(value); }

std::string joined(const std::vector<std::string>& parts, const char* between = ", ") {
  std::string all;
  for (const std::string& part : parts) all += (all.empty() ? "" : between) + part;
  return all;
}

/// "1, 2 and 4 to 6 of 8 layers", counted from 1; "all layers".
std::string layers_in_words(const std::vector<bool>& is_one) {
  std::vector<std::string> ranges;
  for (std::size_t first = 0; first < is_one.size(); ++first) {
    if (!is_one[first]) continue;
    std::size_t last = first;
    while (last + 1 < is_one.size() && is_one[last + 1]) ++last;
    ranges.push_back(std::to_string(first + 1) + (last > first ? "-" + std::to_string(last + 1) : ""));
    first = last;
  }
  const bool all = ranges.size() == 1 && ranges[0] == "1-" + std::to_string(is_one.size());
  return all || is_one.size() == 1 ? "all layers" : "layers " + joined(ranges) + " of " + std::to_string(is_one.size());
}

template <class Of, class Is>
std::string layers_where(const std::vector<Of>& of_layers, const Is& is) {
  std::vector<bool> is_one;
  for (const Of& of_layer : of_layers) is_one.push_back(is(of_layer));
  return layers_in_words(is_one);
}

std::string name_of(Activation activation) {
  switch (activation) {
    case Activation::gelu:
      return "gelu";
    case Activation::gelu_tanh:
      return "gelu (tanh)";
    case Activation::quick_gelu:
      return "quick gelu";
    case Activation::relu:
      return "relu";
    case Activation::relu_squared:
      return "relu squared";
    case Activation::sigmoid:
      return "sigmoid";
    case Activation::tanh:
      return "tanh";
    case Activation::xielu:
      return "xielu";
    case Activation::swiglu_oai:
      return "gpt-oss' swiglu";
    case Activation::silu:
      break;
  }
  return "silu";
}

std::string norm_in_words(const NormFacts& norm) {
  std::vector<std::string> parts = {norm.kind == NormFacts::Kind::rms ? "RMSNorm" : "LayerNorm"};
  if (norm.plus_one) parts.push_back("times 1 + weight");
  if (!norm.weighted) parts.push_back("without weights");
  if (norm.bias) parts.push_back("with biases");
  parts.push_back("epsilon " + number(norm.epsilon));
  return joined(parts);
}

std::string order_in_words(const DecoderConfig& c) {
  switch (c.order) {
    case DecoderConfig::Order::parallel:
      return "both blocks on one norm";
    case DecoderConfig::Order::parallel_two_norms:
      return "both blocks on norms of the same sum";
    case DecoderConfig::Order::norm_sums:
      return "norms of the sums";
    case DecoderConfig::Order::sequential:
      break;
  }
  return c.norms_before ? c.norms_after ? "before and behind each block" : "before each block" : "behind each block";
}

std::string rope_in_words(const Rope& rope, const DecoderConfig& c) {
  static const std::map<Rope::Scaling, const char*> names = {{Rope::Scaling::linear, "linear"},
                                                             {Rope::Scaling::llama3, "llama3"},
                                                             {Rope::Scaling::yarn, "yarn"},
                                                             {Rope::Scaling::longrope, "longrope"}};
  std::vector<std::string> parts = {"theta " + number(rope.theta)};
  if (rope.width < c.head_dim) parts.push_back(number(rope.width) + " of " + number(c.head_dim) + " dimensions");
  if (rope.interleaved) parts.push_back("interleaved");
  if (const auto name = names.find(rope.scaling); name != names.end())
    parts.push_back(std::string(name->second) + " by " + number(rope.factor));
  if (rope.scaling == Rope::Scaling::yarn || rope.scaling == Rope::Scaling::longrope)
    parts.push_back("from " + number(rope.original_max_position) + " positions");
  if (rope.attention_factor != 1) parts.push_back("times " + number(rope.attention_factor));
  return joined(parts);
}

void add_positions(const DecoderConfig& c, Lines& lines) {
  for (std::size_t i = 0; i < c.ropes.size(); ++i) {
    const auto is_this = [i](std::int32_t rope) { return rope == static_cast<std::int32_t>(i); };
    if (std::ranges::any_of(c.rope_of, is_this))
      lines.emplace_back("rope", rope_in_words(c.ropes[i], c) + ": " + layers_where(c.rope_of, is_this));
  }
  const auto has_none = [](std::int32_t rope) { return rope < 0; };
  if (!c.ropes.empty() && std::ranges::any_of(c.rope_of, has_none))
    lines.emplace_back("no rope", layers_where(c.rope_of, has_none));
  if (c.learned_positions > 0) lines.emplace_back("positions", "learned, " + number(c.learned_positions));
  if (!c.alibi_slopes.empty()) lines.emplace_back("positions", "ALiBi");
  std::map<std::int64_t, int> sizes;
  for (const std::int64_t window : c.windows)
    if (window > 0) ++sizes[window];
  for (const auto& [size, count] : sizes)
    lines.emplace_back(c.chunks ? "chunks" : "window",
                       number(size) + " positions: " + layers_where(c.windows, [size = size](std::int64_t window) {
                         return window == size;
                       }));
  if (c.query_beta != 0)
    lines.emplace_back("queries", "grow by " + number(c.query_beta) + " with each " + number(c.query_period));
}

void add_scales(const DecoderConfig& c, Lines& lines) {
  std::vector<std::string> scales = {"attention " + number(c.attention_scale)};
  if (c.scale_by_layer) scales.back() += " over the layer's number";
  if (c.embedding_scale != 1) scales.push_back("embedding " + number(c.embedding_scale));
  if (c.residual_scale != 1) scales.push_back("blocks " + number(c.residual_scale));
  if (c.logit_scale != 1) scales.push_back("logits " + number(c.logit_scale));
  lines.emplace_back("scales", joined(scales));
  std::vector<std::string> caps;
  if (c.attention_cap > 0) caps.push_back("attention " + number(c.attention_cap));
  if (c.logit_cap > 0) caps.push_back("logits " + number(c.logit_cap));
  if (c.qkv_clip > 0) caps.push_back("queries, keys and values " + number(c.qkv_clip));
  if (!caps.empty()) lines.emplace_back("caps", joined(caps));
}

void add_biases(const DecoderConfig& c, Lines& lines) {
  std::vector<std::string> biases;
  if (c.qkv_bias) biases.push_back("queries, keys, values");
  if (c.output_bias) biases.push_back("attention's output");
  if (c.mlp_bias) biases.push_back("feed-forward");
  if (c.head_bias) biases.push_back("head");
  lines.emplace_back("biases", biases.empty() ? "none" : joined(biases));
}

void add_experts(const Experts& e, Lines& lines) {
  if (e.count == 0) return;
  std::string text = number(e.chosen) + " of " + number(e.count) + ", " + number(e.width) + " wide";
  if (e.shared > 0) text += ", beside " + number(e.shared) + " shared";
  lines.emplace_back("experts", text + ": " + layers_in_words(e.in_layer));
}

std::string mebibytes(std::uint64_t elements, std::uint64_t bytes) {
  return number(static_cast<std::int64_t>(elements * bytes >> 20)) + " MiB";
}

void print(const Lines& lines, std::string& out) {
  std::size_t width = 0;
  for (const auto& [name, value] : lines) width = std::max(width, name.size());
  for (const auto& [name, value] : lines) out += "  " + name + std::string(width - name.size() + 2, ' ') + value + "\n";
}

}  // namespace

Lines facts_in_words(const DecoderConfig& c) {
  Lines lines;
  lines.emplace_back("layers", number(c.layers) + ", " + number(c.hidden) + " wide");
  lines.emplace_back(
      "heads", number(c.heads) + " of " + number(c.head_dim) + ", " + number(c.kv_heads) + " for keys and values");
  lines.emplace_back("feed-forward",
                     number(c.intermediate) + " wide, " + name_of(c.activation) + (c.gated ? ", gated" : ""));
  add_experts(c.experts, lines);
  lines.emplace_back("norms", norm_in_words(c.norm) + "; " + order_in_words(c));
  if (c.qk_norm.over != QueryKeyNorm::Over::none)
    lines.emplace_back("norms of q, k",
                       std::string(c.qk_norm.over == QueryKeyNorm::Over::width ? "over all heads" : "over each head") +
                           (c.qk_norm.after_rope ? ", behind the rotation" : ""));
  add_positions(c, lines);
  add_scales(c, lines);
  if (c.gates_attention) lines.emplace_back("attention", "its output is gated");
  if (c.sinks) lines.emplace_back("sinks", "a logit for each head");
  add_biases(c, lines);
  lines.emplace_back("vocabulary", number(c.vocabulary) + (!c.has_head         ? ", no head"
                                                           : c.tied_embeddings ? ", the head is the embedding"
                                                                               : ", a head of its own"));
  return lines;
}

namespace {

std::string positions_in_words(const EncoderConfig& c) {
  std::vector<std::string> parts;
  if (c.positions > 0)
    parts.push_back("a table of " + number(c.positions) + ", from " + number(c.first_position) + " on");
  if (!c.ropes.empty()) parts.push_back("rotated queries and keys");
  if (c.relative.kind == RelativePositions::Kind::table)
    parts.push_back("a bias by distance, " + number(c.relative.buckets) + " buckets");
  if (c.relative.kind == RelativePositions::Kind::disentangled)
    parts.push_back("products with vectors of distances within " + number(c.relative.span));
  return parts.empty() ? "none" : joined(parts);
}

std::string norms_in_words(const EncoderConfig& c) {
  using Norms = EncoderConfig::Norms;
  return norm_in_words(c.norm) + (c.norms == Norms::of_sums  ? "; behind each block, of the sum"
                                  : c.norms == Norms::before ? "; before each block"
                                                             : "; before and behind each block");
}

Lines encoder_facts_in_words(const EncoderConfig& c) {
  Lines lines;
  lines.emplace_back("layers", number(c.layers) + ", " + number(c.hidden) + " wide; an encoder");
  lines.emplace_back("heads",
                     number(c.heads) + " of " + number(c.head_dim) + ", " + number(c.keys()) + " for keys and values");
  lines.emplace_back("feed-forward",
                     number(c.intermediate) + " wide, " + name_of(c.activation) + (c.gated ? ", gated" : ""));
  lines.emplace_back("norms", norms_in_words(c));
  lines.emplace_back("positions", positions_in_words(c));
  for (std::size_t rope = 0; rope < c.ropes.size(); ++rope)
    lines.emplace_back("rotation", "theta " + nlohmann::json(c.ropes[rope].theta).dump() + ": " +
                                       layers_where(c.rope_of, [&](std::int32_t of) {
                                         return of == static_cast<std::int32_t>(rope);
                                       }));
  const auto near = std::ranges::find_if(c.reach, [](std::int64_t reach) { return reach > 0; });
  if (near != c.reach.end())
    lines.emplace_back("attention", number(*near) + " tokens on each side: " +
                                        layers_where(c.reach, [](std::int64_t reach) { return reach > 0; }));
  if (c.types > 0) lines.emplace_back("token types", number(c.types));
  if (c.labels > 0)
    lines.emplace_back("head",
                       number(c.labels) + " outputs, of " + (c.head.pools_mean ? "the mean" : "the first token"));
  lines.emplace_back("vocabulary", number(c.vocabulary));
  return lines;
}

}  // namespace

std::string explanation(const ModelFolder& folder, const ModelFacts& facts) {
  std::string out = folder.path + ": " + folder.architecture + "\n";
  Lines lines;
  if (folder.encoder)
    lines = encoder_facts_in_words(*folder.encoder);
  else if (!folder.seq2seq)
    lines = facts_in_words(folder.decoder);
  std::string parameters = number(static_cast<std::int64_t>(facts.parameters));
  if (facts.active_parameters > 0 && facts.active_parameters < facts.parameters)
    parameters += ", of which a token goes through " + number(static_cast<std::int64_t>(facts.active_parameters));
  lines.emplace_back("parameters", parameters);
  lines.emplace_back("weights", mebibytes(facts.parameters, 4) + " in float32, " + mebibytes(facts.parameters, 2) +
                                    " in bfloat16 or float16; the checkpoint is " + facts.checkpoint_dtype);
  lines.emplace_back("max_length", number(facts.max_length));
  lines.emplace_back("kinds", joined(facts.kinds));
  print(lines, out);
  out += "config.json\n";
  Lines keys;
  std::vector<std::string> idle;
  for (const ReadKey& key : folder.keys) {
    if (key.decides)
      keys.emplace_back(key.name, key.value);
    else
      idle.push_back(key.name);
  }
  print(keys, out);
  if (!idle.empty()) out += "  decide nothing here: " + joined(idle) + "\n";
  for (const std::string& note : facts.notes) out += "note: " + note + "\n";
  return out;
}

}  // namespace proctor
