#include "worker/checkpoint/decoder_reader.h"

#include <algorithm>

#include "worker/checkpoint/families.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kMaxHeads = 1 << 16;

}  // namespace

std::int64_t read_size(ConfigReader& reader, const std::vector<const char*>& keys, std::int64_t fallback) {
  std::int64_t size = fallback;
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) size = reader.get(*key, size);
  return size;
}

Activation read_decoder_activation(ConfigReader& reader, const char* key, const char* fallback) {
  const std::string name = reader.get(key, std::string(fallback));
  const auto known = activation_named(name);
  if (!known) reader.refuse(key, "is '" + name + "', which is not implemented");
  return *known;
}

DecoderConfig read_decoder(ConfigReader& reader, const DecoderDefaults& d) {
  DecoderConfig c;
  c.vocabulary = reader.get("vocab_size", d.vocabulary);
  c.hidden = read_size(reader, {"hidden_size", "n_embd"}, d.hidden);
  c.intermediate = reader.get("intermediate_size", d.intermediate);
  c.layers = read_size(reader, {"num_hidden_layers", "n_layer"}, d.layers);
  c.heads = read_size(reader, {"num_attention_heads", "n_head"}, d.heads);
  if (c.heads <= 0 || c.heads > kMaxHeads)
    reader.refuse("num_attention_heads", "is " + std::to_string(c.heads) + ", which is no number of heads");
  reader.require_layers("num_hidden_layers", c.layers);
  const bool says_kv_heads = reader.find("num_key_value_heads") != nullptr;
  c.kv_heads = reader.get("num_key_value_heads", d.kv_heads > 0 && !says_kv_heads ? d.kv_heads : c.heads);
  const bool says_head_dim = reader.find("head_dim") != nullptr;
  c.head_dim = reader.get("head_dim", d.head_dim > 0 && !says_head_dim ? d.head_dim : c.hidden / c.heads);
  c.max_position = read_size(reader, {"max_position_embeddings", "n_positions", "n_ctx"}, d.max_position);
  if (d.epsilon_key) c.norm.epsilon = reader.positive(d.epsilon_key, d.epsilon, 1);
  if (d.eos >= 0) c.eos_ids = {d.eos};
  c.tied_embeddings = reader.get("tie_word_embeddings", d.tied);
  c.activation = read_decoder_activation(reader, d.activation_key, d.activation);
  reader.require_unquantized();
  reader.require("is_encoder_decoder", false, "marks an encoder-decoder");
  reader.require("add_cross_attention", false, "asks for cross attention");
  double fraction = d.rotary_fraction;
  if (fraction > 0)
    fraction = reader.positive("partial_rotary_factor", fraction, 1.0 + 1e-9);
  else
    reader.require("partial_rotary_factor", 1.0, "rotates a part of a head only, which this family does not");
  const auto width = static_cast<std::int64_t>(static_cast<double>(c.head_dim) * (fraction > 0 ? fraction : 1));
  c.ropes = {read_rope(reader, c, d.theta, width, d.rope_kind)};
  c.ropes[0].interleaved = reader.get("rope_interleaved", d.interleaved);
  c.rope_of.assign(static_cast<std::size_t>(c.layers), 0);
  c.windows.assign(static_cast<std::size_t>(c.layers), 0);
  return c;
}

std::int64_t read_window(ConfigReader& reader, std::int64_t fallback) {
  const Json* window = reader.find("sliding_window");
  if (window && window->is_null()) return 0;
  const auto size = reader.get<std::int64_t>("sliding_window", fallback);
  if (size < 0) reader.refuse("sliding_window", "is negative");
  return size;
}

void norm_queries_and_keys(DecoderConfig& c, QueryKeyNorm::Over over) {
  c.qk_norm = {over, false, c.heads, c.kv_heads, false, c.norm};
}

void rope_in_windows_only(DecoderConfig& c) {
  for (std::size_t layer = 0; layer < c.windows.size(); ++layer) c.rope_of[layer] = c.windows[layer] > 0 ? 0 : -1;
}

void fuse_gate_up(DecoderConfig& c) { c.names.gate_up = "mlp.gate_up_proj"; }

void set_windows(DecoderConfig& c, std::int64_t size) { std::ranges::fill(c.windows, size); }

void read_windows_from(ConfigReader& reader, DecoderConfig& c, std::int64_t size, std::int64_t first) {
  const auto types = read_layer_types(reader, c.layers);
  for (std::size_t layer = 0; layer < c.windows.size(); ++layer) {
    const bool sliding =
        types.empty() ? static_cast<std::int64_t>(layer) >= first : types[layer] == "sliding_attention";
    c.windows[layer] = sliding ? size : 0;
  }
}

void read_layers_without_rope(ConfigReader& reader, DecoderConfig& c) {
  const auto interval = reader.get<std::int64_t>("no_rope_layer_interval", 4);
  const auto given = reader.get("no_rope_layers", std::vector<std::int64_t>{});
  if (!given.empty() && given.size() != c.rope_of.size()) reader.refuse("no_rope_layers", "has not one entry a layer");
  if (interval < 1) reader.refuse("no_rope_layer_interval", "is below 1");
  for (std::size_t layer = 0; layer < c.rope_of.size(); ++layer) {
    const bool has_rope = given.empty() ? (static_cast<std::int64_t>(layer) + 1) % interval != 0 : given[layer] != 0;
    c.rope_of[layer] = has_rope ? 0 : -1;
  }
}

void require_plain(ConfigReader& reader, std::initializer_list<std::pair<const char*, nlohmann::json>> options) {
  for (const auto& [key, value] : options) reader.require(key, value, "is not what this family has");
}

void pass_by(ConfigReader& reader, std::initializer_list<const char*> keys) {
  for (const char* key : keys) reader.find(key);
}

double read_clip(ConfigReader& reader) {
  const Json* clip = reader.find("clip_qkv");
  return clip && !clip->is_null() ? reader.positive("clip_qkv", 0, 1e9) : 0;
}

std::vector<std::string> read_layer_types(ConfigReader& reader, std::int64_t layers,
                                          const std::vector<std::string>& known) {
  const auto types = reader.get("layer_types", std::vector<std::string>{});
  if (!types.empty() && static_cast<std::int64_t>(types.size()) != layers)
    reader.refuse("layer_types",
                  "has " + std::to_string(types.size()) + " entries for " + std::to_string(layers) + " layers");
  for (const std::string& type : types)
    if (std::ranges::find(known, type) == known.end())
      reader.refuse("layer_types", "has '" + type + "' (this family has " + known[0] + " and " + known[1] + ")");
  return types;
}

void read_windows(ConfigReader& reader, DecoderConfig& config, std::int64_t size, std::int64_t pattern) {
  const std::vector<std::string> types = read_layer_types(reader, config.layers);
  for (std::size_t layer = 0; layer < config.windows.size(); ++layer) {
    const auto number = static_cast<std::int64_t>(layer) + 1;
    const bool by_pattern = pattern == 1 || (pattern > 1 && number % pattern != 0);
    const bool sliding = types.empty() ? by_pattern : types[layer] == "sliding_attention";
    config.windows[layer] = sliding ? size : 0;
  }
}

void read_attention_bias(ConfigReader& reader, DecoderConfig& config, bool fallback, bool of_output) {
  config.qkv_bias = reader.get("attention_bias", fallback);
  config.output_bias = of_output && config.qkv_bias;
}

std::vector<float> alibi_slopes(std::int64_t heads, double most) {
  std::int64_t power = 1;
  while (2 * power <= heads) power *= 2;
  std::vector<float> slopes;
  const auto add = [&](std::int64_t count, double base, std::int64_t step) {
    for (std::int64_t i = 1; static_cast<std::int64_t>(slopes.size()) < count; i += step)
      slopes.push_back(static_cast<float>(std::pow(2.0, -most * static_cast<double>(i) / base)));
  };
  add(power, static_cast<double>(power), 1);
  add(heads, static_cast<double>(2 * power), 2);
  return slopes;
}

}  // namespace proctor
