#include "worker/model_folder.h"

#include <xxhash.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "sharding/error.h"
#include "worker/json_file.h"
#include "worker/kinds/sentence_settings.h"
#include "worker/models/families.h"
#include "worker/safetensors.h"

namespace proctor {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;
constexpr std::uint64_t kHashedBytes = 64 << 10;  // of each tensor, beside the headers

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

std::vector<std::int32_t> int_or_list(const Json& json) {
  if (json.is_number_integer()) return {json.get<std::int32_t>()};
  if (json.is_array()) return json.get<std::vector<std::int32_t>>();
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
std::vector<std::int32_t> default_eos_ids(const Json& config) {
  const std::string architecture = config.at("architectures").at(0);
  return architecture.starts_with("Llama") || architecture.starts_with("Mistral") ? std::vector<std::int32_t>{2}
                                                                                  : std::vector<std::int32_t>{};
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

TokenizerSettings read_tokenizer_settings(const fs::path& folder) {
  const Json json = read_json(folder / "tokenizer_config.json", false);
  const Json map = read_json(folder / "special_tokens_map.json", false);
  TokenizerSettings settings;
  settings.tokenizer_class = token_text(json, "tokenizer_class");
  settings.bos_token = token_text(json.contains("bos_token") ? json : map, "bos_token");
  settings.eos_token = token_text(json.contains("eos_token") ? json : map, "eos_token");
  const auto flag = [&](const char* key) -> std::optional<bool> {
    if (json.contains(key) && json.at(key).is_boolean()) return json.at(key).get<bool>();
    return std::nullopt;
  };
  settings.add_bos_token = flag("add_bos_token");
  settings.add_eos_token = flag("add_eos_token");
  settings.add_prefix_space = flag("add_prefix_space");
  settings.clean_up_spaces = flag("clean_up_tokenization_spaces").value_or(false);
  if (json.contains("model_max_length") && json.at("model_max_length").is_number() &&
      json.at("model_max_length").get<double>() < 1e18)
    settings.model_max_length = static_cast<std::int64_t>(json.at("model_max_length").get<double>());
  if (json.contains("added_tokens_decoder")) settings.added_tokens = json.at("added_tokens_decoder");
  return settings;
}

/// config.json's own, else what AutoTokenizer picks for the model's class.
std::string default_tokenizer_class(const Json& config) {
  if (config.contains("tokenizer_class") && config.at("tokenizer_class").is_string())
    return config.at("tokenizer_class");
  const std::string architecture = config.at("architectures").at(0);
  return architecture.starts_with("Llama") || architecture.starts_with("Mistral") ? "LlamaTokenizerFast" : "";
}

void check_shape(const WeightSource& source, const TensorEntry& entry, const std::string& file) {
  const auto text = [](const std::vector<std::int64_t>& shape) { return Json(shape).dump(); };
  if (entry.shape != source.shape)
    throw InputError(file + ": tensor " + source.tensor + " has shape " + text(entry.shape) +
                     ", config.json asks for " + text(source.shape));
  if (entry.dtype != "F32" && entry.dtype != "BF16" && entry.dtype != "F16")
    throw InputError(file + ": tensor " + source.tensor + " has dtype " + entry.dtype +
                     " (F32, BF16 and F16 are read); is this a quantised checkpoint?");
}

void add_file(XXH3_state_t* state, const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << path.filename().string() << '\0' << stream.rdbuf();
  XXH3_128bits_update(state, text.str().data(), text.str().size());
}

std::string hash_of(const ModelFolder& folder, const Checkpoint& checkpoint) {
  XXH3_state_t* state = XXH3_createState();
  XXH3_128bits_reset(state);
  for (const char* name :
       {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "modules.json", "1_Pooling/config.json", "sentence_bert_config.json", "config_sentence_transformers.json"})
    add_file(state, fs::path(folder.path) / name);
  std::string buffer;
  for (const auto& [name, found] : checkpoint.tensors()) {
    buffer.resize(std::min(kHashedBytes, found.entry->end - found.entry->begin));
    found.file->read(found.entry->begin, buffer.size(), buffer.data());
    buffer += name + Json(found.entry->shape).dump() + found.entry->dtype;
    XXH3_128bits_update(state, buffer.data(), buffer.size());
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(state);
  XXH3_freeState(state);
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

void add_sizes(ModelFacts& facts, const DecoderConfig& c) {
  facts.kinds = {"generator"};
  facts.layers = static_cast<std::uint64_t>(c.layers);
  facts.hidden = static_cast<std::uint64_t>(c.hidden);
  facts.heads = static_cast<std::uint64_t>(c.heads);
  facts.kv_heads = static_cast<std::uint64_t>(c.kv_heads);
  facts.head_dim = static_cast<std::uint64_t>(c.head_dim);
  facts.intermediate = static_cast<std::uint64_t>(c.intermediate);
  facts.vocabulary = static_cast<std::uint64_t>(c.vocabulary);
}

void add_sizes(ModelFacts& facts, const EncoderConfig& c) {
  facts.kinds = {c.labels > 0 ? "cross_encoder" : "embedding"};
  facts.layers = static_cast<std::uint64_t>(c.layers);
  facts.hidden = static_cast<std::uint64_t>(c.hidden);
  facts.heads = facts.kv_heads = static_cast<std::uint64_t>(c.heads);
  facts.head_dim = static_cast<std::uint64_t>(c.head_dim());
  facts.intermediate = static_cast<std::uint64_t>(c.intermediate);
  facts.vocabulary = static_cast<std::uint64_t>(c.vocabulary);
}

}  // namespace

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
  else
    folder.decoder = read_decoder_config(folder.architecture, reader);
  folder.generation = read_generation(path, json);
  folder.tokenizer = read_tokenizer_settings(path);
  if (folder.tokenizer.tokenizer_class.empty()) folder.tokenizer.tokenizer_class = default_tokenizer_class(json);
  folder.max_length = folder.encoder
                          ? std::min(folder.encoder->max_tokens(),
                                     folder.tokenizer.model_max_length.value_or(folder.encoder->max_tokens()))
                          : folder.decoder.max_position;
  return folder;
} catch (const Json::exception& error) {
  throw InputError(path + ": a configuration file is not as expected: " + error.what());
} catch (const fs::filesystem_error& error) {
  throw InputError(error.what());
}

std::vector<WeightSource> folder_sources(const ModelFolder& folder) {
  return folder.encoder ? encoder_weight_sources(folder.architecture, *folder.encoder)
                        : decoder_weight_sources(folder.decoder);
}

std::vector<ParameterShape> folder_parameters(const ModelFolder& folder) {
  return parameters_of(folder_sources(folder));
}

ModelFacts check_model(const ModelFolder& folder) {
  const Checkpoint checkpoint(folder.path);
  ModelFacts facts;
  if (folder.encoder) {
    add_sizes(facts, *folder.encoder);
    if (folder.encoder->labels > 0)  // what is not understood is found before anything starts
      (void)read_pair_activation(folder.path, folder.encoder->labels);
    else
      (void)read_sentence_settings(folder.path);
  } else {
    add_sizes(facts, folder.decoder);
  }
  for (const WeightSource& source : folder_sources(folder)) {
    const auto found = checkpoint.find(source.tensor);
    check_shape(source, *found.entry, found.file->path());
    std::uint64_t elements = 1;
    for (std::int64_t size : source.shape) elements *= static_cast<std::uint64_t>(size);
    facts.parameters += elements;
    facts.weight_bytes += found.entry->end - found.entry->begin;
  }
  facts.architecture = folder.architecture;
  facts.checkpoint_dtype = folder.checkpoint_dtype;
  facts.max_length = folder.max_length;
  facts.bytes_per_token = facts.vocabulary > 1000 ? 4.0 : 2.0;
  facts.model_hash = hash_of(folder, checkpoint);
  facts.bos_text = folder.tokenizer.bos_token;
  facts.eos_text = folder.tokenizer.eos_token;
  return facts;
}

}  // namespace proctor
