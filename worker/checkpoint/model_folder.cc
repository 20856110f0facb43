#include "worker/checkpoint/model_folder.h"

#include <algorithm>
#include <filesystem>

#include "sharding/protocol/error.h"
#include "worker/base/json_file.h"
#include "worker/checkpoint/colbert_settings.h"
#include "worker/checkpoint/families.h"
#include "worker/checkpoint/safetensors.h"

namespace proctor {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;
constexpr const char* kNotAsExpected = ": a configuration file is not as expected: ";
constexpr std::int64_t kT5Tokens = 512;  // T5 was trained on; positions are relative, so the network has no limit

Json read_json(const fs::path& path, bool required) {
  if (!required && !fs::exists(path)) return Json::object();
  return read_json_file(path.string());
}

/// "dtype" of transformers 5, "torch_dtype" before; the first tensor's own where neither is there.
std::string checkpoint_dtype(const Json& config, const std::string& folder) {
  for (const char* key : {"dtype", "torch_dtype"})
    if (config.contains(key) && config.at(key).is_string()) return config.at(key);
  const Checkpoint checkpoint(folder);
  const std::string first = checkpoint.tensors().empty() ? "F32" : checkpoint.tensors().begin()->second.entry->dtype;
  return first == "BF16" ? "bfloat16" : first == "F16" ? "float16" : "float32";
}

Tokens int_or_list(const Json& json) {
  if (json.is_number_integer()) return {json.get<std::int32_t>()};
  if (json.is_array()) return json.get<Tokens>();
  return {};
}

/// Processors that change greedy text and are not implemented; each with the value that means "off".
void refuse_other_processors(const Json& json, const std::string& file) {
  const std::pair<const char*, Json> off[] = {{"no_repeat_ngram_size", 0},
                                              {"encoder_no_repeat_ngram_size", 0},
                                              {"encoder_repetition_penalty", 1.0},
                                              {"min_length", 0},
                                              {"min_new_tokens", 0},
                                              {"num_beams", 1},
                                              {"num_beam_groups", 1},
                                              {"diversity_penalty", 0.0},
                                              {"forced_bos_token_id", Json()},
                                              {"forced_eos_token_id", Json()},
                                              {"bad_words_ids", Json()},
                                              {"force_words_ids", Json()},
                                              {"suppress_tokens", Json()},
                                              {"begin_suppress_tokens", Json()},
                                              {"sequence_bias", Json()},
                                              {"exponential_decay_length_penalty", Json()},
                                              {"guidance_scale", 1.0},
                                              {"penalty_alpha", 0.0},
                                              {"dola_layers", Json()},
                                              {"watermarking_config", Json()},
                                              {"max_time", Json()},
                                              {"token_healing", false},
                                              {"stop_strings", Json()}};
  for (const auto& [key, value] : off)
    if (json.contains(key) && !json.at(key).is_null() && json.at(key) != value)
      throw InputError(file + ": \"" + key + "\" = " + json.at(key).dump() +
                       " changes generated text and is not implemented");
}

/// What the transformers class says where no file does.
Tokens default_eos_ids(const Json& config) {
  const std::string architecture = config.at("architectures").at(0);
  if (is_t5(architecture)) return {1};
  if (architecture.starts_with("Llama") || architecture.starts_with("Mistral")) return {2};
  return {};
}

GenerationDefaults read_generation(const fs::path& folder, const Json& config) {
  const fs::path path = folder / "generation_config.json";
  const Json json = read_json(path, false);
  GenerationDefaults defaults;
  refuse_other_processors(json, path.string());
  const Json* source = fs::exists(path) ? &json : &config;
  if (source->contains("eos_token_id")) defaults.eos_ids = int_or_list(source->at("eos_token_id"));
  if (!fs::exists(path) && !config.contains("eos_token_id")) defaults.eos_ids = default_eos_ids(config);
  if (json.contains("max_new_tokens") && json.at("max_new_tokens").is_number_integer())
    defaults.max_new_tokens = json.at("max_new_tokens").get<std::int64_t>();
  if (json.contains("repetition_penalty") && json.at("repetition_penalty").is_number())
    defaults.repetition_penalty = json.at("repetition_penalty");
  return defaults;
}

/// A special token is a string, or an object with "content", or null.
std::string token_text(const Json& json, const char* key) {
  if (!json.contains(key)) return "";
  const Json& value = json.at(key);
  if (value.is_object()) return value.value("content", "");
  return value.is_string() ? value.get<std::string>() : "";
}

/// config.json's own, else what AutoTokenizer picks for the model's class.
std::string default_tokenizer_class(const Json& config) {
  if (config.contains("tokenizer_class") && config.at("tokenizer_class").is_string())
    return config.at("tokenizer_class");
  if (!config.contains("architectures")) return "";
  const std::string architecture = config.at("architectures").at(0);
  if (architecture.starts_with("Llama") || architecture.starts_with("Mistral")) return "LlamaTokenizerFast";
  return architecture.starts_with("Bert") ? "BertTokenizerFast" : "";
}

/// The network's own limit where it has one; else, or below it, the tokenizer's.
std::int64_t max_length_of(const ModelFolder& folder) {
  const std::optional<std::int64_t>& said = folder.tokenizer.model_max_length;
  if (folder.encoder) return std::min(folder.encoder->max_tokens(), said.value_or(folder.encoder->max_tokens()));
  if (folder.t5) return said.value_or(kT5Tokens);
  return folder.decoder.max_position;
}

}  // namespace

TokenizerSettings read_tokenizer_settings(const std::string& path) try {
  const fs::path folder = path;
  const Json json = read_json(folder / "tokenizer_config.json", false);
  const Json map = read_json(folder / "special_tokens_map.json", false),
             config = read_json(folder / "config.json", false);
  TokenizerSettings settings;
  settings.tokenizer_class = token_text(json, "tokenizer_class");
  if (settings.tokenizer_class.empty()) settings.tokenizer_class = default_tokenizer_class(config);
  settings.bos_token = token_text(json.contains("bos_token") ? json : map, "bos_token");
  settings.eos_token = token_text(json.contains("eos_token") ? json : map, "eos_token");
  settings.pad_token = token_text(json.contains("pad_token") ? json : map, "pad_token");
  const auto flag = [&](const char* key) -> std::optional<bool> {
    if (json.contains(key) && json.at(key).is_boolean()) return json.at(key).get<bool>();
    return std::nullopt;
  };
  settings.add_bos_token = flag("add_bos_token");
  settings.add_eos_token = flag("add_eos_token");
  settings.add_prefix_space = flag("add_prefix_space");
  settings.do_lower_case = flag("do_lower_case");
  settings.strip_accents = flag("strip_accents");
  settings.tokenize_chinese_chars = flag("tokenize_chinese_chars");
  settings.truncates_left = token_text(json, "truncation_side") == "left";
  if (json.contains("model_input_names") && json.at("model_input_names").is_array())
    settings.gives_types =
        std::ranges::find(json.at("model_input_names"), "token_type_ids") != json.at("model_input_names").end();
  settings.clean_up_spaces = flag("clean_up_tokenization_spaces").value_or(false);
  if (json.contains("model_max_length") && json.at("model_max_length").is_number() &&
      json.at("model_max_length").get<double>() < 1e18)
    settings.model_max_length = static_cast<std::int64_t>(json.at("model_max_length").get<double>());
  if (json.contains("added_tokens_decoder")) settings.added_tokens = json.at("added_tokens_decoder");
  return settings;
} catch (const Json::exception& error) {
  throw InputError(path + kNotAsExpected + error.what());
}

ModelFolder read_model_folder(const std::string& path) try {
  if (!fs::is_directory(path)) throw InputError(path + ": no such model folder");
  ModelFolder folder;
  folder.path = path;
  const fs::path file = fs::path(path) / "config.json";
  const Json json = read_json(file, true);
  if (!json.is_object() || !json.contains("architectures") || !json.at("architectures").is_array() ||
      json.at("architectures").empty() || !json.at("architectures")[0].is_string())
    throw InputError(file.string() + ": \"architectures\" is missing, so the kind of model is not known");
  folder.architecture = json.at("architectures")[0];
  folder.checkpoint_dtype = checkpoint_dtype(json, path);
  ConfigReader reader(json, file.string());
  if (is_encoder(folder.architecture))
    folder.encoder = read_encoder_config(folder.architecture, reader);
  else if (is_t5(folder.architecture))
    folder.t5 = read_t5_config(folder.architecture, reader);
  else
    folder.decoder = read_decoder_config(folder.architecture, reader);
  folder.generation = read_generation(path, json);
  folder.tokenizer = read_tokenizer_settings(path);
  folder.max_length = max_length_of(folder);
  if (folder.encoder && folder.encoder->projection > 0) folder.encoder->projection = read_colbert_settings(path).dim;
  return folder;
} catch (const Json::exception& error) {
  throw InputError(path + kNotAsExpected + error.what());
} catch (const fs::filesystem_error& error) {
  throw InputError(error.what());
}

std::vector<WeightSource> folder_sources(const ModelFolder& folder, Share share) {
  if (folder.t5)
    return member_sources(t5_weight_sources(*folder.t5), t5_weight_sources(member_config(*folder.t5, share)), share);
  if (!folder.encoder) return member_sources(folder.decoder, share);
  return member_sources(encoder_weight_sources(folder.architecture, *folder.encoder),
                        encoder_weight_sources(folder.architecture, member_config(*folder.encoder, share)), share);
}

std::vector<ParameterShape> folder_parameters(const ModelFolder& folder, Share share) {
  if (folder.t5) return parameters_of(t5_weight_sources(member_config(*folder.t5, share)));
  if (!folder.encoder) return decoder_parameters(member_config(folder.decoder, share));
  return parameters_of(encoder_weight_sources(folder.architecture, member_config(*folder.encoder, share)));
}

}  // namespace proctor
