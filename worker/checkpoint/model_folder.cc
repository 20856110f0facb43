#include "worker/checkpoint/model_folder.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>

#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"
#include "worker/base/json_file.h"
#include "worker/checkpoint/colbert_settings.h"
#include "worker/checkpoint/families.h"
#include "worker/checkpoint/safetensors.h"

namespace proctor {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;
constexpr const char* kNotAsExpected = ": a configuration file is not as expected: ";
constexpr std::int64_t kLmEvalTokens = 2048;  // lm-eval's, where neither configuration nor tokenizer say
constexpr std::int64_t kT5Tokens = 512;       // T5 was trained on; positions are relative, so the network has no limit

Json read_json(const fs::path& path, bool required) {
  if (!required && !is_there(path)) return Json::object();
  return read_json_file(path.string());
}

/// "dtype" of transformers 5, "torch_dtype" before; the first tensor's own where neither is there.
std::string checkpoint_dtype(const Json& config, const std::string& folder) {
  for (const char* key : {"dtype", "torch_dtype"}) {
    if (!config.contains(key) || config.at(key).is_null()) continue;
    std::string name = config.at(key).is_string() ? config.at(key).get<std::string>() : config.at(key).dump();
    if (name.starts_with("torch.")) name.erase(0, 6);
    if (name != "float32" && name != "bfloat16" && name != "float16")
      throw InputError((fs::path(folder) / "config.json").string() + ": \"" + key + "\" is " + config.at(key).dump() +
                       " (float32, bfloat16 and float16 are computed)");
    return name;
  }
  const Checkpoint checkpoint(folder);
  const std::string first = checkpoint.tensors().empty() ? "F32" : checkpoint.tensors().begin()->second.entry->dtype;
  return first == "BF16" ? "bfloat16" : first == "F16" ? "float16" : "float32";
}

TokenId token_id(const Json& json, const std::string& file, const char* key) {
  if (!json.is_number_integer() || json.get<std::int64_t>() < 0 || json.get<std::int64_t>() > kMostTokenId)
    throw InputError(file + ": \"" + key + "\" has " + json.dump() + ", which is no token id");
  return json.get<TokenId>();
}

Tokens token_ids(const Json& json, const std::string& file, const char* key) {
  if (json.is_null()) return {};
  Tokens ids;
  if (!json.is_array()) return {token_id(json, file, key)};
  for (const Json& one : json) ids.push_back(token_id(one, file, key));
  return ids;
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
Tokens default_eos_ids(const ModelFolder& folder) {
  if (folder.t5) return {1};
  return folder.decoder.eos_ids;
}

GenerationDefaults read_generation(const ModelFolder& model, const Json& config) {
  const fs::path folder = model.path;
  const fs::path path = folder / "generation_config.json";
  const Json json = read_json(path, false);
  GenerationDefaults defaults;
  refuse_other_processors(json, path.string());
  const bool there = is_there(path);
  const Json& source = there ? json : config;
  const std::string file = there ? path.string() : (folder / "config.json").string();
  if (source.contains("eos_token_id")) defaults.eos_ids = token_ids(source.at("eos_token_id"), file, "eos_token_id");
  if (!is_there(path) && !config.contains("eos_token_id")) defaults.eos_ids = default_eos_ids(model);
  const auto given = [&](const char* key) { return json.contains(key) && !json.at(key).is_null(); };
  const auto refuse = [&](const char* key, const char* why) {
    throw InputError(file + ": \"" + key + "\" is " + json.at(key).dump() + why);
  };
  if (given("max_new_tokens")) {
    const Json& value = json.at("max_new_tokens");
    if (!value.is_number_integer() || value.get<std::int64_t>() < 1)
      refuse("max_new_tokens", ", which is no number of tokens");
    defaults.max_new_tokens = value.get<std::int64_t>();
  }
  if (given("repetition_penalty")) {
    const Json& value = json.at("repetition_penalty");
    if (!value.is_number() || !(value.get<double>() > 0)) refuse("repetition_penalty", ", which is no number above 0");
    defaults.repetition_penalty = value;
  }
  return defaults;
}

/// A special token is a string, or an object with "content", or null: "" then.
AddedToken special_token(const Json& json) {
  AddedToken token;
  token.special = true;
  if (json.is_string()) token.content = json;
  if (!json.is_object()) return token;
  token.content = json.value("content", "");
  token.single_word = json.value("single_word", false);
  token.lstrip = json.value("lstrip", false);
  token.rstrip = json.value("rstrip", false);
  token.normalized = json.value("normalized", false);
  return token;
}

std::string token_text(const Json& json, const char* key) {
  return json.contains(key) ? special_token(json.at(key)).content : "";
}

/// added_tokens_decoder's key: a whole number and nothing else.
std::int64_t id_of_key(const std::string& key, const std::string& file) {
  std::int64_t id = -1;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (error != std::errc() || end != key.data() + key.size() || id < 0 || id > kMostTokenId)
    throw InputError(file + ": added_tokens_decoder has '" + key + "', which is no token id");
  return id;
}

/// As transformers 4.57.1 reads them. With added_tokens_decoder, tokenizer_config.json alone says which tokens are
/// special; without it, special_tokens_map.json wins, and added_tokens.json tells of others.
void read_tokens(const fs::path& folder, const Json& config, TokenizerSettings& settings) {
  const bool legacy = !config.contains("added_tokens_decoder");
  const Json map = legacy ? read_json(folder / "special_tokens_map.json", false) : Json::object();
  const auto of = [&](const char* key) -> Json {
    if (map.contains(key)) return map.at(key);
    return config.contains(key) ? config.at(key) : Json();
  };
  settings.bos_token = special_token(of("bos_token")).content;
  settings.eos_token = special_token(of("eos_token")).content;
  settings.pad_token = special_token(of("pad_token")).content;
  const auto add_special = [&](const Json& json) {
    if (AddedToken token = special_token(json); !token.content.empty())
      settings.special_tokens.push_back(std::move(token));
  };
  for (const char* key : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"})
    add_special(of(key));
  for (const Json* source : {&config, &map})
    if (source->contains("additional_special_tokens") && source->at("additional_special_tokens").is_array())
      for (const Json& token : source->at("additional_special_tokens")) add_special(token);
  if (config.contains("extra_special_tokens") && config.at("extra_special_tokens").is_object())
    for (const auto& [name, token] : config.at("extra_special_tokens").items()) add_special(token);

  std::map<std::int64_t, AddedToken> by_id;
  if (!legacy) {
    const std::string file = (folder / "tokenizer_config.json").string();
    for (const auto& [key, json] : config.at("added_tokens_decoder").items()) {
      AddedToken token = special_token(json);
      token.special = json.value("special", false);
      token.normalized = json.value("normalized", !token.special);
      by_id[id_of_key(key, file)] = std::move(token);
    }
  } else {
    const fs::path file = folder / "added_tokens.json";
    const Json added = read_json(file, false);
    for (const auto& [content, id] : added.items()) {
      AddedToken token;
      token.content = content;
      token.special =
          std::ranges::find(settings.special_tokens, content, &AddedToken::content) != settings.special_tokens.end();
      token.normalized = !token.special;
      by_id[token_id(id, file.string(), content.c_str())] = std::move(token);
    }
  }
  for (auto& [id, token] : by_id) settings.added_tokens.push_back(std::move(token));
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

/// Whether a class of transformers 4.57.1 makes token type ids: its model_input_names.
bool class_gives_types(const std::string& name) {
  static const char* const kWithout[] = {"DistilBert", "Roberta", "XLMRoberta", "MPNet", "Camembert", "Longformer",
                                         "Bart",       "BART",    "MBart",      "Llama", "CodeLlama", "GPT2",
                                         "Qwen2",      "T5",      "Gemma",      "CLIP",  "Whisper",   "ModernBert"};
  for (const char* without : kWithout)
    if (name.starts_with(without)) return false;
  return true;
}

/// The network's own limit where it has one; else, or below it, the tokenizer's.
std::int64_t max_length_of(const ModelFolder& folder) {
  const std::optional<std::int64_t>& said = folder.tokenizer.model_max_length;
  if (folder.encoder) return std::min(folder.encoder->max_tokens(), said.value_or(folder.encoder->max_tokens()));
  if (folder.t5) return said.value_or(kT5Tokens);
  const DecoderConfig& decoder = folder.decoder;
  return decoder.names_max_position ? decoder.max_position
                                    : std::min(decoder.max_position, said.value_or(kLmEvalTokens));
}

}  // namespace

TokenizerSettings read_tokenizer_settings(const std::string& path) try {
  const fs::path folder = path;
  const Json json = read_json(folder / "tokenizer_config.json", false);
  const Json config = read_json(folder / "config.json", false);
  TokenizerSettings settings;
  settings.tokenizer_class = token_text(json, "tokenizer_class");
  if (settings.tokenizer_class.empty()) settings.tokenizer_class = default_tokenizer_class(config);
  read_tokens(folder, json, settings);
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
  settings.gives_types = class_gives_types(settings.tokenizer_class);
  if (json.contains("model_input_names") && json.at("model_input_names").is_array())
    settings.gives_types =
        std::ranges::find(json.at("model_input_names"), "token_type_ids") != json.at("model_input_names").end();
  settings.clean_up_spaces = flag("clean_up_tokenization_spaces").value_or(false);
  if (json.contains("model_max_length") && json.at("model_max_length").is_number() &&
      json.at("model_max_length").get<double>() < 1e18)
    settings.model_max_length = static_cast<std::int64_t>(json.at("model_max_length").get<double>());
  if (flag("split_special_tokens").value_or(false))
    throw InputError((folder / "tokenizer_config.json").string() + ": split_special_tokens true is not supported");
  return settings;
} catch (const Json::exception& error) {
  throw InputError(path + kNotAsExpected + error.what());
}

ModelFolder read_model_folder(const std::string& path) try {
  std::error_code none;
  if (!fs::is_directory(path, none)) throw InputError(path + ": no such model folder");
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
  if (is_encoder(folder.architecture, json))
    folder.encoder = read_encoder_config(folder.architecture, reader);
  else if (is_t5(folder.architecture))
    folder.t5 = read_t5_config(folder.architecture, reader);
  else
    folder.decoder = read_decoder_config(folder.architecture, reader, &folder.keys);
  if (folder.keys.empty()) folder.keys = reader.keys();
  folder.generation = read_generation(folder, json);
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
  return member_sources(*folder.encoder, share);
}

std::vector<ParameterShape> folder_parameters(const ModelFolder& folder, Share share) {
  if (folder.t5) return parameters_of(t5_weight_sources(member_config(*folder.t5, share)));
  if (!folder.encoder) return decoder_parameters(member_config(folder.decoder, share));
  return parameters_of(encoder_weight_sources(member_config(*folder.encoder, share)));
}

}  // namespace proctor
