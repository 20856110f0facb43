#include "worker/checkpoint/families.h"

#include <functional>
#include <map>
#include <set>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kMaxHeads = 1 << 16;

constexpr double kMostTheta = 1e12;

/// A number of such an object, above 0.
double rope_number(ConfigReader& reader, const std::string& key, const Json& json, const char* name, double most) {
  if (!json.contains(name)) reader.refuse(key, std::string("has no ") + name);
  const Json& value = json.at(name);
  if (!value.is_number() || !(value.get<double>() > 0 && value.get<double>() < most))
    reader.refuse(key, std::string("has ") + name + " " + value.dump() + ", which is no such number");
  return value;
}

/// Everything in such an object decides numbers, so that what is not understood is refused.
RopeScaling read_rope_scaling(ConfigReader& reader, const std::string& key, const Json& json) {
  for (const auto& [name, value] : json.items())
    if (value.is_object())
      reader.refuse(key, "gives each kind of layer its own ('" + name + "'), which is not implemented");
  const char* const named = json.contains("type") ? "type" : "rope_type";
  if (json.contains("rope_type") && json.at(named) != json.at("rope_type"))
    reader.refuse(key, "has a type " + json.at(named).dump() + " and a rope_type " + json.at("rope_type").dump());
  if (!json.contains(named))
    reader.refuse(key, "has neither rope_type nor type, so that nobody can tell what it asks for");
  if (!json.at(named).is_string())
    reader.refuse(key, std::string("has a ") + named + " that is no text: " + json.at(named).dump());
  const std::string type = json.at(named);
  std::set<std::string> known = {"rope_type", "type", "rope_theta", "partial_rotary_factor"};
  RopeScaling scaling;
  if (type == "linear" || type == "llama3") {
    scaling.kind = type == "linear" ? RopeScaling::Kind::linear : RopeScaling::Kind::llama3;
    scaling.factor = rope_number(reader, key, json, "factor", 1e6);
    known.insert({"factor", "original_max_position_embeddings"});
  }
  if (type == "llama3") {
    scaling.low_freq_factor = rope_number(reader, key, json, "low_freq_factor", 1e6);
    scaling.high_freq_factor = rope_number(reader, key, json, "high_freq_factor", 1e6);
    scaling.original_max_position = rope_number(reader, key, json, "original_max_position_embeddings", 1e9);
    if (!(scaling.high_freq_factor > scaling.low_freq_factor))
      reader.refuse(key, "has a high_freq_factor that is not above its low_freq_factor");
    known.insert({"low_freq_factor", "high_freq_factor"});
  }
  if (type != "default" && type != "linear" && type != "llama3")
    reader.refuse(key, "asks for '" + type + "' (linear and llama3 are implemented)");
  for (const auto& [name, value] : json.items())
    if (!known.contains(name) && !value.is_null())
      reader.refuse(key, "has the key '" + name + "', which rope type " + type + " does not read here");
  return scaling;
}

/// transformers 5 writes rope_parameters; older files rope_theta and rope_scaling.
void read_rope(ConfigReader& reader, DecoderConfig& config) {
  config.rope_theta = reader.positive("rope_theta", config.rope_theta, kMostTheta);
  config.rope_interleaved = reader.get("rope_interleaved", false);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const Json* json = reader.find(key);
    if (!json || json->is_null()) continue;
    if (!json->is_object()) reader.refuse(key, "is no object: " + json->dump());
    try {
      config.rope_scaling = read_rope_scaling(reader, key, *json);
      if (json->contains("rope_theta")) config.rope_theta = rope_number(reader, key, *json, "rope_theta", kMostTheta);
      if (json->value("partial_rotary_factor", 1.0) != 1.0)
        reader.refuse(key, "rotates a part of a head only (not implemented)");
    } catch (const Json::exception& error) {
      reader.refuse(key, std::string("is not readable: ") + error.what());
    }
  }
}

void read_sizes(ConfigReader& reader, DecoderConfig& config, std::int64_t default_kv_heads,
                std::int64_t default_head_dim) {
  config.vocabulary = reader.get("vocab_size", config.vocabulary);
  config.hidden = reader.get("hidden_size", config.hidden);
  config.intermediate = reader.get("intermediate_size", config.intermediate);
  config.layers = reader.get("num_hidden_layers", config.layers);
  config.heads = reader.get("num_attention_heads", config.heads);
  const Json* kv_heads = reader.find("num_key_value_heads");
  config.kv_heads = reader.get("num_key_value_heads", default_kv_heads && !kv_heads ? default_kv_heads : config.heads);
  if (config.heads <= 0 || config.heads > kMaxHeads)
    reader.refuse("num_attention_heads", "is " + std::to_string(config.heads) + ", which is no number of heads");
  reader.require_layers("num_hidden_layers", config.layers);
  config.head_dim = reader.get("head_dim", default_head_dim ? default_head_dim : config.hidden / config.heads);
  config.norm_epsilon = reader.positive("rms_norm_eps", config.norm_epsilon, 1);
  config.max_position = reader.get("max_position_embeddings", config.max_position);
  config.tied_embeddings = reader.get("tie_word_embeddings", false);
  reader.require("hidden_act", "silu", "is not silu (the only activation these families have)");
  reader.require("partial_rotary_factor", 1.0, "rotates a part of a head only (not implemented)");
  reader.require_unquantized();
  reader.require("is_encoder_decoder", false, "marks an encoder-decoder");
  reader.require("add_cross_attention", false, "asks for cross attention");
  read_rope(reader, config);
  config.windows.assign(static_cast<std::size_t>(config.layers), 0);
}

DecoderConfig read_llama(ConfigReader& reader) {
  DecoderConfig config;
  read_sizes(reader, config, 0, 0);
  config.qkv_bias = config.output_bias = reader.get("attention_bias", false);
  config.mlp_bias = reader.get("mlp_bias", false);
  return config;
}

/// 4096 where the key is absent, none where it is null.
std::int64_t read_window(ConfigReader& reader) {
  const Json* window = reader.find("sliding_window");
  if (window && window->is_null()) return 0;
  const auto size = reader.get<std::int64_t>("sliding_window", 4096);
  if (size < 0) reader.refuse("sliding_window", "is negative");
  return size;
}

DecoderConfig read_mistral(ConfigReader& reader) {
  DecoderConfig config;
  config.intermediate = 14336;
  config.max_position = 4096 * 32;
  read_sizes(reader, config, 8, 0);
  const std::int64_t size = read_window(reader);
  config.windows.assign(config.windows.size(), size);
  return config;
}

/// Qwen2 and Qwen3: a window per layer, from layer_types or from max_window_layers on.
void read_qwen_windows(ConfigReader& reader, DecoderConfig& config) {
  const bool use = reader.get("use_sliding_window", false);
  const std::int64_t size = read_window(reader);
  const auto first = reader.get<std::int64_t>("max_window_layers", 28);
  const auto types = reader.get("layer_types", std::vector<std::string>{});
  reader.require("use_mrope", false, "asks for multimodal rotary positions");
  if (!types.empty() && types.size() != config.windows.size())
    reader.refuse("layer_types",
                  "has " + std::to_string(types.size()) + " entries for " + std::to_string(config.layers) + " layers");
  for (std::size_t layer = 0; layer < config.windows.size(); ++layer) {
    const bool sliding =
        types.empty() ? static_cast<std::int64_t>(layer) >= first : types[layer] == "sliding_attention";
    config.windows[layer] = use && sliding ? size : 0;
  }
}

DecoderConfig read_qwen2(ConfigReader& reader) {
  DecoderConfig config;
  config.vocabulary = 151936;
  config.intermediate = 22016;
  config.max_position = 32768;
  read_sizes(reader, config, 32, 0);
  config.qkv_bias = true;
  read_qwen_windows(reader, config);
  return config;
}

DecoderConfig read_qwen3(ConfigReader& reader) {
  DecoderConfig config;
  config.vocabulary = 151936;
  config.intermediate = 22016;
  config.max_position = 32768;
  read_sizes(reader, config, 32, 128);
  config.qkv_bias = config.output_bias = reader.get("attention_bias", false);
  config.qk_norm = true;
  read_qwen_windows(reader, config);
  return config;
}

const std::map<std::string, std::function<DecoderConfig(ConfigReader&)>>& table() {
  static const std::map<std::string, std::function<DecoderConfig(ConfigReader&)>> rows = {
      {"LlamaForCausalLM", read_llama}, {"LlamaModel", read_llama},       {"MistralForCausalLM", read_mistral},
      {"MistralModel", read_mistral},   {"Qwen2ForCausalLM", read_qwen2}, {"Qwen2Model", read_qwen2},
      {"Qwen3ForCausalLM", read_qwen3}, {"Qwen3Model", read_qwen3},
  };
  return rows;
}

void check_sizes(const DecoderConfig& c, const ConfigReader& reader) {
  reader.require_sizes({{"vocab_size", c.vocabulary},
                        {"hidden_size", c.hidden},
                        {"intermediate_size", c.intermediate},
                        {"num_key_value_heads", c.kv_heads},
                        {"head_dim", c.head_dim}});
  if (c.heads % c.kv_heads != 0) reader.refuse("num_key_value_heads", "does not divide num_attention_heads");
  if (c.head_dim % 2 != 0) reader.refuse("head_dim", "is odd, rotary positions need pairs");
}

}  // namespace

DecoderConfig read_decoder_config(const std::string& architecture, ConfigReader& reader) {
  const auto row = table().find(architecture);
  if (row == table().end()) {
    std::string known;
    for (const auto& [name, read] : table()) known += (known.empty() ? "" : ", ") + name;
    throw InputError(reader.file() + ": architecture " + architecture + " is not supported (supported: " + known +
                     ", " + encoder_names() + ", " + t5_names() + ")");
  }
  DecoderConfig config = row->second(reader);
  config.has_head = !architecture.ends_with("Model");
  if (!config.has_head) config.tied_embeddings = true;  // no tensor of a head is there
  check_sizes(config, reader);
  reader.finish();
  return config;
}

std::vector<WeightSource> decoder_weight_sources(const DecoderConfig& c) {
  std::vector<WeightSource> sources;
  const std::int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  sources.push_back({"embedding", "model.embed_tokens.weight", 0, {c.vocabulary, c.hidden}, Split::vocabulary});
  sources.push_back({"final_norm", "model.norm.weight", 0, {c.hidden}, Split::replicate});
  if (!c.tied_embeddings) sources.push_back({"head", "lm_head.weight", 0, {c.vocabulary, c.hidden}, Split::vocabulary});
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    const std::string to = "layers." + std::to_string(layer) + ".", from = "model." + to;
    const auto linear = [&](const std::string& parameter, const std::string& tensor, std::int64_t row,
                            std::int64_t rows, std::int64_t columns, Split split, bool bias) {
      sources.push_back({to + parameter, from + tensor + ".weight", row, {rows, columns}, split});
      if (bias)
        sources.push_back({to + parameter + "_bias",
                           from + tensor + ".bias",
                           row,
                           {rows},
                           split == Split::row ? Split::replicate : split});
    };
    linear("qkv", "self_attn.q_proj", 0, q, c.hidden, Split::column, c.qkv_bias);
    linear("qkv", "self_attn.k_proj", q, kv, c.hidden, Split::kv, c.qkv_bias);
    linear("qkv", "self_attn.v_proj", q + kv, kv, c.hidden, Split::kv, c.qkv_bias);
    linear("output", "self_attn.o_proj", 0, c.hidden, q, Split::row, c.output_bias);
    linear("gate_up", "mlp.gate_proj", 0, c.intermediate, c.hidden, Split::column, c.mlp_bias);
    linear("gate_up", "mlp.up_proj", c.intermediate, c.intermediate, c.hidden, Split::column, c.mlp_bias);
    linear("down", "mlp.down_proj", 0, c.hidden, c.intermediate, Split::row, c.mlp_bias);
    sources.push_back({to + "input_norm", from + "input_layernorm.weight", 0, {c.hidden}, Split::replicate});
    sources.push_back({to + "mlp_norm", from + "post_attention_layernorm.weight", 0, {c.hidden}, Split::replicate});
    if (c.qk_norm) {
      sources.push_back({to + "q_norm", from + "self_attn.q_norm.weight", 0, {c.head_dim}, Split::replicate});
      sources.push_back({to + "k_norm", from + "self_attn.k_norm.weight", 0, {c.head_dim}, Split::replicate});
    }
  }
  return sources;
}

std::vector<ParameterShape> decoder_parameters(const DecoderConfig& config) {
  return parameters_of(decoder_weight_sources(config));
}

std::vector<ParameterShape> parameters_of(const std::vector<WeightSource>& sources) {
  std::vector<ParameterShape> shapes;
  std::map<std::string, std::size_t> index;
  for (const WeightSource& source : sources) {
    const auto [at, fresh] = index.emplace(source.parameter, shapes.size());
    if (fresh) shapes.push_back({source.parameter, source.shape});
    auto& rows = shapes[at->second].shape[0];
    rows = std::max(rows, source.row + source.shape[0]);
  }
  return shapes;
}

}  // namespace proctor
