#include "worker/checkpoint/generation_defaults.h"

#include <algorithm>
#include <filesystem>

#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"
#include "worker/base/json_file.h"
#include "worker/checkpoint/model_folder.h"

namespace proctor {

using Json = nlohmann::json;
namespace fs = std::filesystem;

TokenId read_token_id(const Json& json, const std::string& file, const char* key) {
  if (!json.is_number_integer() || json.get<std::int64_t>() < 0 || json.get<std::int64_t>() > kMostTokenId)
    throw InputError(file + ": \"" + key + "\" has " + json.dump() + ", which is no token id");
  return json.get<TokenId>();
}

namespace {

Tokens token_ids(const Json& json, const std::string& file, const char* key) {
  if (json.is_null()) return {};
  Tokens ids;
  if (!json.is_array()) return {read_token_id(json, file, key)};
  for (const Json& one : json) ids.push_back(read_token_id(one, file, key));
  return ids;
}

/// Processors that change greedy text and are not implemented; each with the value that means "off".
void refuse_other_processors(const Json& json, const std::string& file, bool seq2seq) {
  const auto implemented = [&](const std::string& key) {
    return seq2seq && (key == "no_repeat_ngram_size" || key == "min_length" || key == "num_beams" ||
                       key == "forced_bos_token_id" || key == "forced_eos_token_id");
  };
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
    if (json.contains(key) && !json.at(key).is_null() && json.at(key) != value && !implemented(key))
      throw InputError(file + ": \"" + key + "\" = " + json.at(key).dump() +
                       " changes generated text and is not implemented");
}

/// What the transformers class says where no file does.
Tokens default_eos_ids(const ModelFolder& folder) {
  if (folder.seq2seq) return {folder.seq2seq->eos_token};
  return folder.decoder.eos_ids;
}

/// transformers passes by a generation_config.json that was made of a config.json, where the latter says more than its
/// class.
bool config_wins(const Json& json, const Json& config) {
  if (!json.contains("_from_model_config") || json.at("_from_model_config") != true) return false;
  const std::pair<const char*, Json> usual[] = {{"num_beams", 1},
                                                {"min_length", 0},
                                                {"max_length", 20},
                                                {"early_stopping", false},
                                                {"length_penalty", 1.0},
                                                {"no_repeat_ngram_size", 0},
                                                {"repetition_penalty", 1.0},
                                                {"forced_bos_token_id", Json()},
                                                {"forced_eos_token_id", 2}};
  return std::ranges::any_of(usual, [&](const auto& one) {
    return config.contains(one.first) && !config.at(one.first).is_null() && config.at(one.first) != one.second;
  });
}

std::int64_t count_of(const Json& json, const std::string& file, const char* key, std::int64_t fallback) {
  if (!json.contains(key) || json.at(key).is_null()) return fallback;
  if (!json.at(key).is_number_integer() || json.at(key).get<std::int64_t>() < 0)
    throw InputError(file + ": \"" + key + "\" is " + json.at(key).dump() + ", which is no number of tokens");
  return json.at(key).get<std::int64_t>();
}

/// early_stopping: true, false or "never".
void read_ends(const Json& json, const std::string& file, GenerationDefaults& defaults) {
  using Ends = GenerationDefaults::Ends;
  if (!json.contains("early_stopping") || json.at("early_stopping").is_null()) return;
  const Json& value = json.at("early_stopping");
  if (!value.is_boolean() && value != "never")
    throw InputError(file + ": \"early_stopping\" is " + value.dump() + ", not true, false or \"never\"");
  defaults.ends = value == "never" ? Ends::by_longest : value.get<bool>() ? Ends::at_first : Ends::by_length;
}

/// json: what counts; of_class: where it is config.json, which its class's own defaults complete.
void read_seq2seq(const ModelFolder& model, const Json& json, const std::string& file, bool of_class,
                  GenerationDefaults& defaults) {
  const auto id = [&](const char* key) -> std::optional<TokenId> {
    if (!json.contains(key) || json.at(key).is_null()) return std::nullopt;
    return read_token_id(json.at(key), file, key);
  };
  defaults.start_token = id("decoder_start_token_id");
  defaults.forced_bos = id("forced_bos_token_id");
  defaults.forced_eos = id("forced_eos_token_id");
  if (of_class && !json.contains("forced_eos_token_id") && model.seq2seq->forced_eos_token >= 0)
    defaults.forced_eos = model.seq2seq->forced_eos_token;
  if (of_class && json.value("force_bos_token_to_be_generated", false) && json.contains("bos_token_id"))
    defaults.forced_bos = id("bos_token_id");
  defaults.min_length = count_of(json, file, "min_length", 0);
  defaults.no_repeat_ngram = count_of(json, file, "no_repeat_ngram_size", 0);
  defaults.beams = std::max<std::int64_t>(1, count_of(json, file, "num_beams", 1));
  if (json.contains("length_penalty") && !json.at("length_penalty").is_null()) {
    if (!json.at("length_penalty").is_number())
      throw InputError(file + ": \"length_penalty\" is " + json.at("length_penalty").dump() + ", which is no number");
    defaults.length_penalty = json.at("length_penalty");
  }
  read_ends(json, file, defaults);
}

}  // namespace

GenerationDefaults read_generation(const ModelFolder& model, const Json& config) {
  const fs::path folder = model.path;
  const fs::path path = folder / "generation_config.json";
  const bool there = is_there(path);
  const Json json = there ? read_json_file(path.string()) : Json::object();
  const bool seq2seq = model.seq2seq.has_value(), of_config = !there || (seq2seq && config_wins(json, config));
  const Json& source = of_config ? config : json;
  const std::string file = of_config ? (folder / "config.json").string() : path.string();
  GenerationDefaults defaults;
  refuse_other_processors(seq2seq ? source : json, file, seq2seq);
  if (source.contains("eos_token_id")) defaults.eos_ids = token_ids(source.at("eos_token_id"), file, "eos_token_id");
  if (of_config && !config.contains("eos_token_id")) defaults.eos_ids = default_eos_ids(model);
  if (seq2seq) read_seq2seq(model, source, file, of_config, defaults);
  if (of_config && !seq2seq) return defaults;
  const auto given = [&](const char* key) { return source.contains(key) && !source.at(key).is_null(); };
  if (given("max_new_tokens")) {
    defaults.max_new_tokens = count_of(source, file, "max_new_tokens", 0);
    if (*defaults.max_new_tokens < 1)
      throw InputError(file + ": \"max_new_tokens\" is 0, which is no number of tokens");
  }
  if (given("repetition_penalty")) {
    const Json& value = source.at("repetition_penalty");
    if (!value.is_number() || !(value.get<double>() > 0))
      throw InputError(file + ": \"repetition_penalty\" is " + value.dump() + ", which is no number above 0");
    defaults.repetition_penalty = value;
  }
  return defaults;
}

}  // namespace proctor
