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
#include "worker/checkpoint/generation_defaults.h"
#include "worker/checkpoint/safetensors.h"
#include "worker/checkpoint/tokenizer_classes.h"

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
  const std::map<std::string, std::string> of_class = class_tokens(settings.tokenizer_class);
  const auto of = [&](const char* key) -> Json {
    if (map.contains(key)) return map.at(key);
    if (config.contains(key)) return config.at(key);
    return of_class.contains(key) ? Json(of_class.at(key)) : Json();
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
  if (config.value("additional_special_tokens", Json()).is_null())
    for (std::int64_t i = 0; i < extra_ids(settings.tokenizer_class, config); ++i)
      add_special(Json("<extra_id_" + std::to_string(i) + ">"));
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
      by_id[read_token_id(id, file.string(), content.c_str())] = std::move(token);
    }
  }
  for (auto& [id, token] : by_id) settings.added_tokens.push_back(std::move(token));
}

/// transformers 4.57 writes Qwen2-VL's into text_config alone.
std::string architecture_of(const Json& config, const std::string& file) {
  const auto named = [](const Json& json) {
    return json.is_object() && json.contains("architectures") && json.at("architectures").is_array() &&
           !json.at("architectures").empty() && json.at("architectures")[0].is_string();
  };
  if (named(config)) return config.at("architectures")[0];
  if (config.is_object() && config.contains("text_config") && named(config.at("text_config")))
    return config.at("text_config").at("architectures")[0];
  throw InputError(file + ": \"architectures\" is missing, so the kind of model is not known");
}

/// Without a file that says how images are prepared, an image-text model is its text model.
void read_decoder_and_tower(ConfigReader& reader, ModelFolder& folder) {
  folder.decoder = read_decoder_config(folder.architecture, reader, &folder.keys);
  const fs::path path = folder.path;
  if (has_tower(folder.architecture) &&
      (is_there(path / "preprocessor_config.json") || is_there(path / "processor_config.json")))
    folder.vision = read_vision_config(folder.architecture, reader, folder.decoder.hidden);
}

/// The network's own limit where it has one; else, or below it, the tokenizer's.
std::int64_t max_length_of(const ModelFolder& folder) {
  const std::optional<std::int64_t>& said = folder.tokenizer.model_max_length;
  if (folder.encoder) return std::min(folder.encoder->max_tokens(), said.value_or(folder.encoder->max_tokens()));
  if (folder.seq2seq && folder.seq2seq->positions > 0) return folder.seq2seq->positions;
  if (folder.seq2seq) return said.value_or(kT5Tokens);
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
  folder.architecture = architecture_of(json, file.string());
  folder.checkpoint_dtype = checkpoint_dtype(json, path);
  ConfigReader reader(json, file.string());
  if (is_encoder(folder.architecture, json))
    folder.encoder = read_encoder_config(folder.architecture, reader);
  else if (is_seq2seq(folder.architecture))
    folder.seq2seq = read_seq2seq_config(folder.architecture, reader);
  else
    read_decoder_and_tower(reader, folder);
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
  if (folder.seq2seq)
    return member_sources(seq2seq_weight_sources(*folder.seq2seq),
                          seq2seq_weight_sources(member_config(*folder.seq2seq, share)), share);
  if (folder.encoder) return member_sources(*folder.encoder, share);
  std::vector<WeightSource> sources = member_sources(folder.decoder, share);
  if (folder.vision) std::ranges::move(vision_weight_sources(*folder.vision), std::back_inserter(sources));
  return sources;
}

std::vector<ParameterShape> folder_parameters(const ModelFolder& folder, Share share) {
  if (folder.seq2seq) return parameters_of(seq2seq_weight_sources(member_config(*folder.seq2seq, share)));
  if (folder.encoder) return parameters_of(encoder_weight_sources(member_config(*folder.encoder, share)));
  std::vector<ParameterShape> parameters = decoder_parameters(member_config(folder.decoder, share));
  if (folder.vision)
    std::ranges::move(parameters_of(vision_weight_sources(*folder.vision)), std::back_inserter(parameters));
  return parameters;
}

}  // namespace proctor
