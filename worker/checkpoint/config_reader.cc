#include "worker/checkpoint/config_reader.h"

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

/// Keys that decide nothing at inference, or are decided elsewhere (tokenizer files, generation_config.json).
const std::set<std::string>& harmless() {
  static const std::set<std::string> keys = {"_name_or_path",
                                             "_attn_implementation_autoset",
                                             "architectures",
                                             "attention_dropout",
                                             "attn_implementation",
                                             "auto_map",
                                             "attn_pdrop",
                                             "bos_token_id",
                                             "chunk_size_feed_forward",
                                             "embd_pdrop",
                                             "eos_token_id",
                                             "finetuning_task",
                                             "ffn_dropout",
                                             "gradient_checkpointing",
                                             "hidden_dropout",
                                             "id2label",
                                             "initializer_range",
                                             "is_decoder",
                                             "is_llama_config",
                                             "label2id",
                                             "license",
                                             "max_position_embeddings",
                                             "model_type",
                                             "mup",
                                             "name",
                                             "output_attentions",
                                             "output_hidden_states",
                                             "output_past",
                                             "output_router_logits",
                                             "pad_token_id",
                                             "pretraining_tp",
                                             "problem_type",
                                             "resid_pdrop",
                                             "return_dict",
                                             "router_aux_loss_coef",
                                             "sep_token_id",
                                             "task_specific_params",
                                             "tokenizer_class",
                                             "torch_dtype",
                                             "dtype",
                                             "torchscript",
                                             "transformers.js_config",
                                             "transformers_version",
                                             "unk_token_id",
                                             "use_bfloat16",
                                             "use_cache"};
  return keys;
}

}  // namespace

const nlohmann::json* ConfigReader::find(const std::string& key) {
  read_.insert(key);
  const auto found = json_.find(key);
  return found == json_.end() ? nullptr : &*found;
}

void ConfigReader::require(const std::string& key, const nlohmann::json& allowed, const std::string& why) {
  const nlohmann::json* value = find(key);
  if (value && !value->is_null() && *value != allowed) refuse(key, why);
}

double ConfigReader::positive(const std::string& key, double fallback, double most) {
  const auto value = get<double>(key, fallback);
  if (!(value > 0 && value < most))
    refuse(key,
           "is " + nlohmann::json(value).dump() + ", which is not above 0 and below " + nlohmann::json(most).dump());
  return value;
}

void ConfigReader::rename(std::initializer_list<std::pair<const char*, const char*>> names) {
  for (const auto& [other, own] : names) {
    if (!json_.contains(other)) continue;
    if (!json_.contains(own)) json_[own] = json_[other];
    json_.erase(other);
  }
}

void ConfigReader::ignore(std::initializer_list<const char*> keys) {
  for (const char* key : keys) json_.erase(key);
}

void ConfigReader::rename_rope_type(std::initializer_list<const char*> old, const char* name) {
  const auto scaling = json_.find("rope_scaling");
  if (scaling == json_.end() || !scaling->is_object()) return;
  for (const char* key : {"type", "rope_type"})
    if (scaling->contains(key))
      for (const char* one : old)
        if (scaling->at(key) == one) (*scaling)[key] = name;
}

void ConfigReader::require_unquantized() {
  require("quantization_config", nlohmann::json(),
          "marks a quantised checkpoint; quantised models are not supported, use the original weights");
}

void ConfigReader::require_sizes(std::initializer_list<std::pair<const char*, std::int64_t>> sizes) const {
  for (const auto& [key, size] : sizes)
    if (size <= 0 || size > (1 << 24)) refuse(key, "is " + std::to_string(size) + ", which is no size");
}

void ConfigReader::require_layers(const char* key, std::int64_t layers) const {
  if (layers < 1 || layers > 4096) refuse(key, "is " + std::to_string(layers) + ", which is no number of layers");
}

void ConfigReader::refuse(const std::string& key, const std::string& why) const {
  throw InputError(file_ + ": \"" + key + "\" " + why);
}

std::vector<ReadKey> ConfigReader::keys() const {
  std::vector<ReadKey> keys;
  for (const auto& [key, value] : json_.items()) keys.push_back({key, value.dump(), read_.contains(key)});
  return keys;
}

void ConfigReader::finish() const {
  for (const auto& [key, value] : json_.items())
    if (!read_.contains(key) && !harmless().contains(key) && !value.is_null())
      refuse(
          key,
          "is a key this architecture's reader does not know; the model would be computed wrongly, so it is refused");
}

}  // namespace proctor
