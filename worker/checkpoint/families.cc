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
    for (const auto* families :
         {&llama_families(), &gemma_families(), &gpt_families(), &expert_families(), &sigmoid_expert_families()})
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

std::vector<std::pair<std::string, std::string>> architectures() {
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& [name, family] : table())
    all.emplace_back(family->base && name == family->base ? "base" : "decoder", name);
  for (const std::string& name : encoder_names())
    if (!table().contains(name)) all.emplace_back("encoder", name);
  for (const std::string& name : seq2seq_names()) all.emplace_back("seq2seq", name);
  return all;
}

DecoderConfig read_decoder_config(const std::string& architecture, ConfigReader& reader, std::vector<ReadKey>* keys) {
  const auto row = table().find(architecture);
  if (row == table().end()) throw InputError(reader.file() + ": " + not_supported(architecture));
  if (row->second->wrapped) {
    ConfigReader inner(text_config(reader), reader.file() + ", text_config");
    DecoderConfig config = finished(row->second->read(inner), inner);
    config.names_max_position = false;
    if (keys) *keys = inner.keys();
    if (const nlohmann::json* eos = inner.find("eos_token_id"); eos && eos->is_number_unsigned())
      config.eos_ids = {eos->get<TokenId>()};
    for (std::string* name :
         {&config.names.embedding, &config.names.final_norm, &config.names.head, &config.names.layer})
      *name = "language_model." + *name;
    return config;
  }
  DecoderConfig config = row->second->read(reader);
  config.has_head = architecture != (row->second->base ? row->second->base : "");
  if (!config.has_head) config.tied_embeddings = true, config.head_bias = false;  // no tensor of a head is there
  return finished(std::move(config), reader);
}

}  // namespace proctor
