#include "worker/checkpoint/families.h"

#include <cmath>
#include <map>
#include <set>

#include "sharding/protocol/error.h"
#include "sharding/protocol/nearest_name.h"
#include "worker/checkpoint/decoder_reader.h"

namespace proctor {
namespace {

const std::map<std::string, const DecoderFamily*>& table() {
  static const auto rows = [] {
    std::map<std::string, const DecoderFamily*> made;
    for (const auto* families : {&llama_families(), &qwen_families(), &gemma_families(), &gpt_families(),
                                 &expert_families(), &sigmoid_expert_families(), &vision_families()})
      for (const DecoderFamily& family : *families)
        for (const char* name : {family.with_head, family.base})
          if (name) made.emplace(name, &family);
    return made;
  }();
  return rows;
}

void check_rope(const Rope& rope, const DecoderConfig& c, const ConfigReader& reader) {
  if (rope.width <= 0 || rope.width > c.head_dim || rope.width % 2 != 0)
    reader.refuse("head_dim", "is " + std::to_string(c.head_dim) + ", of which " + std::to_string(rope.width) +
                                  " would be rotated: rotary positions need pairs");
  if (rope.query_beta != 0 && c.query_beta == 0)
    reader.refuse("rope_scaling", "has a llama_4_scaling_beta, which this family does not read");
  if (!rope.sections.empty() && !c.has_three_positions)
    reader.refuse("rope_scaling", "has an mrope_section, which this family does not read");
}

void check_experts(const Experts& e, const ConfigReader& reader) {
  if (e.count == 0) return;
  reader.require_sizes(
      {{"num_experts", e.count}, {"num_experts_per_tok", e.chosen}, {"moe_intermediate_size", e.width}});
  if (e.chosen > e.count) reader.refuse("num_experts_per_tok", "is more than there are experts");
}

}  // namespace

void check_decoder_sizes(const DecoderConfig& c, const ConfigReader& reader) {
  reader.require_sizes({{"vocab_size", c.vocabulary},
                        {"hidden_size", c.hidden},
                        {"intermediate_size", c.intermediate},
                        {"num_key_value_heads", c.kv_heads},
                        {"head_dim", c.head_dim}});
  if (c.heads % c.kv_heads != 0) reader.refuse("num_key_value_heads", "does not divide num_attention_heads");
  for (const Rope& rope : c.ropes) check_rope(rope, c, reader);
  check_experts(c.experts, reader);
}

namespace {

/// The text model's own keys, where it is a part of another.
nlohmann::json text_config(ConfigReader& reader) {
  reader.require_unquantized();
  const nlohmann::json* text = reader.find("text_config");
  if (!text || text->is_null()) return nlohmann::json::object();
  if (!text->is_object()) reader.refuse("text_config", "is no object");
  return *text;
}

/// Architectures by the model_type that a text_config has.
const std::map<std::string, std::string>& text_models() {
  static const std::map<std::string, std::string> names = {
      {"llama", "LlamaForCausalLM"},   {"mistral", "MistralForCausalLM"}, {"qwen2", "Qwen2ForCausalLM"},
      {"qwen3", "Qwen3ForCausalLM"},   {"gemma", "GemmaForCausalLM"},     {"gemma2", "Gemma2ForCausalLM"},
      {"phi3", "Phi3ForCausalLM"},     {"smollm3", "SmolLM3ForCausalLM"}, {"qwen3_moe", "Qwen3MoeForCausalLM"},
      {"gpt_oss", "GptOssForCausalLM"}};
  return names;
}

DecoderConfig read_text_model(const DecoderFamily& family, ConfigReader& reader) {
  if (family.read) return family.read(reader);
  const std::string type = reader.get("model_type", std::string(family.model_type));
  const auto name = text_models().find(type);
  if (name == text_models().end())
    reader.refuse("model_type", "is '" + type + "', which is not read beside a vision tower");
  return table().at(name->second)->read(reader);
}

std::string not_supported(const std::string& architecture) {
  std::set<std::string> known;
  for (const auto& [kind, name] : architectures()) known.insert(name);
  const std::string near = nearest(architecture, known);
  return "architecture " + architecture + " is not supported" + (near.empty() ? "" : "; the nearest name is " + near) +
         " (`proctor-worker families` lists the " + std::to_string(known.size()) + " that are)";
}

DecoderConfig finished(DecoderConfig config, const ConfigReader& reader) {
  if (config.attention_scale == 0) config.attention_scale = 1 / std::sqrt(static_cast<double>(config.head_dim));
  if (config.both_directions)
    reader.refuse("use_bidirectional_attention",
                  "is true: such a model is an embedder, whose architecture is Gemma3TextModel");
  check_decoder_sizes(config, reader);
  reader.finish();
  return config;
}

}  // namespace

namespace {

/// A decoder beside a vision tower.
DecoderConfig read_wrapped(const DecoderFamily& family, ConfigReader& reader, std::vector<ReadKey>* keys) {
  const nlohmann::json own = text_config(reader);
  const bool flat = own.empty() && family.keys == DecoderFamily::Keys::anywhere;
  ConfigReader inner(own, reader.file() + ", text_config");
  ConfigReader& text = flat ? reader : inner;
  if (flat)
    pass_by(text, {"vision_config", "image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id",
                   "vision_token_id"});
  DecoderConfig config = finished(read_text_model(family, text), text);
  config.names_max_position = false;
  if (keys) *keys = text.keys();
  if (const nlohmann::json* eos = text.find("eos_token_id"); eos && eos->is_number_unsigned())
    config.eos_ids = {eos->get<TokenId>()};
  for (std::string* name : {&config.names.embedding, &config.names.final_norm, &config.names.head, &config.names.layer})
    *name = "language_model." + *name;
  return config;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> architectures() {
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& [name, family] : table())
    all.emplace_back(family->base && name == family->base ? "base" : "decoder", name);
  for (const auto& [name, family] : table())
    if (has_tower(name)) all.emplace_back("image-text", name);
  for (const std::string& name : encoder_names())
    if (!table().contains(name)) all.emplace_back("encoder", name);
  for (const std::string& name : seq2seq_names()) all.emplace_back("seq2seq", name);
  return all;
}

DecoderConfig read_decoder_config(const std::string& architecture, ConfigReader& reader, std::vector<ReadKey>* keys) {
  const auto row = table().find(architecture);
  if (row == table().end()) throw InputError(reader.file() + ": " + not_supported(architecture));
  if (row->second->keys != DecoderFamily::Keys::at_top) return read_wrapped(*row->second, reader, keys);
  DecoderConfig config = row->second->read(reader);
  config.has_head = architecture != (row->second->base ? row->second->base : "");
  if (!config.has_head) config.tied_embeddings = true, config.head_bias = false;  // no tensor of a head is there
  return finished(std::move(config), reader);
}

}  // namespace proctor
