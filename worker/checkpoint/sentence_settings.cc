#include "worker/checkpoint/sentence_settings.h"

#include <filesystem>
#include <set>

#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"
#include "worker/base/json_file.h"
#include "worker/checkpoint/known_keys.h"
#include "worker/checkpoint/safetensors.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kOwnFile = "config_sentence_transformers.json";

Json read_if_there(const fs::path& path) { return is_there(path) ? read_json_file(path.string()) : Json::object(); }

/// The names of the modes that a Pooling's config.json asks for: its pooling_mode, or each older flag that is set.
std::vector<std::string> pooling_modes(const Json& json) {
  if (json.contains("pooling_mode")) {
    const Json& mode = json.at("pooling_mode");
    return mode.is_array() ? mode.get<std::vector<std::string>>() : std::vector{mode.get<std::string>()};
  }
  const std::string mean = "pooling_mode_mean_tokens";  // on unless the file says no
  std::vector<std::string> modes;
  if (json.value(mean, true)) modes.push_back(mean);
  for (const auto& [key, value] : json.items())
    if (key.starts_with("pooling_mode_") && key != mean && value.is_boolean() && value.get<bool>())
      modes.push_back(key);
  return modes;
}

Pooling read_pooling(const fs::path& path) {
  static const std::map<std::string, Pooling> known = {{"mean", Pooling::mean},
                                                       {"pooling_mode_mean_tokens", Pooling::mean},
                                                       {"cls", Pooling::cls},
                                                       {"pooling_mode_cls_token", Pooling::cls},
                                                       {"lasttoken", Pooling::last_token},
                                                       {"pooling_mode_lasttoken", Pooling::last_token},
                                                       {"max", Pooling::max},
                                                       {"pooling_mode_max_tokens", Pooling::max},
                                                       {"weightedmean", Pooling::weighted_mean},
                                                       {"pooling_mode_weightedmean_tokens", Pooling::weighted_mean},
                                                       {"mean_sqrt_len_tokens", Pooling::mean_sqrt},
                                                       {"pooling_mode_mean_sqrt_len_tokens", Pooling::mean_sqrt}};
  const Json json = read_json_file(path.string());
  refuse_unknown_keys(json, "1_Pooling/config.json", path.string());
  const std::vector<std::string> modes = pooling_modes(json);
  if (modes.empty()) throw InputError(path.string() + ": no pooling mode is set");
  if (modes.size() > 1) throw InputError(path.string() + ": " + modes[1] + " beside " + modes[0] + " is not supported");
  const auto chosen = known.find(modes[0]);
  if (chosen == known.end())
    throw InputError(path.string() + ": " + modes[0] +
                     " is not supported (one of mean, cls, lasttoken, max, "
                     "weightedmean, mean_sqrt_len_tokens)");
  if (!json.value("include_prompt", true)) throw InputError(path.string() + ": include_prompt false is not supported");
  return chosen->second;
}

/// A function of torch by its path; none for Identity.
std::optional<Activation> torch_activation(const std::string& path, const std::string& file) {
  static const std::map<std::string, std::optional<Activation>> known = {
      {"Identity", std::nullopt},       {"Tanh", Activation::tanh}, {"ReLU", Activation::relu},
      {"Sigmoid", Activation::sigmoid}, {"GELU", Activation::gelu}, {"SiLU", Activation::silu}};
  const auto found = known.find(path.substr(path.rfind('.') + 1));
  if (found == known.end() || !path.starts_with("torch."))
    throw InputError(file + ": activation_function " + path + " is not supported");
  return found->second;
}

/// Its config.json and its weights' header.
DenseLayer read_dense(const fs::path& folder) {
  const std::string config = (folder / "config.json").string();
  const Json json = read_json_file(config);
  refuse_unknown_keys(json, "2_Dense/config.json", config);
  const auto usual = [&](const char* key) {
    if (json.contains(key) && !json.at(key).is_null() && json.at(key) != "sentence_embedding")
      throw InputError(config + ": " + key + " = " + json.at(key).dump() + " is not supported");
  };
  usual("module_input_name"), usual("module_output_name");
  DenseLayer dense{folder.string(), json.at("in_features"), json.at("out_features"), json.value("bias", true),
                   torch_activation(json.at("activation_function"), config)};
  const Checkpoint checkpoint(folder.string());
  const auto has = [&](const char* name, const std::vector<std::int64_t>& shape) {
    return checkpoint.has(name) && checkpoint.find(name).entry->shape == shape;
  };
  if (!has("linear.weight", {dense.outputs, dense.inputs}) || (dense.bias && !has("linear.bias", {dense.outputs})))
    throw InputError(folder.string() + ": linear.weight and linear.bias are not what its config.json asks for");
  return dense;
}

void read_modules(const fs::path& folder, SentenceSettings& settings) {
  const fs::path path = folder / "modules.json";
  for (const Json& module : read_json_file(path.string())) {
    refuse_unknown_keys(module, "modules.json", path.string());
    if (module.contains("kwargs") && !module.at("kwargs").empty())
      throw InputError(path.string() + ": kwargs " + module.at("kwargs").dump() + " of a module are not supported");
    const std::string type = module.at("type"), name = type.substr(type.rfind('.') + 1);
    const std::string where = module.value("path", "");
    if (name == "Transformer" && where.empty()) continue;
    if (name == "Pooling")
      settings.pooling = read_pooling(folder / where / "config.json");
    else if (name == "Normalize")
      settings.normalize = true;
    else if (name == "Dense" && !settings.normalize)
      settings.dense.push_back(read_dense(folder / where));
    else
      throw InputError(
          path.string() + ": module " + type + (where.empty() ? "" : " in " + where) +
          " is not supported (Transformer in the folder itself, Pooling, Dense before Normalize, Normalize)");
  }
}

/// A number of tokens that a file gives; absent where it is null or not there.
std::optional<std::int64_t> token_count(const Json& json, const char* key, const std::string& file) {
  if (!json.contains(key) || json.at(key).is_null()) return std::nullopt;
  if (!json.at(key).is_number_integer() || json.at(key).get<std::int64_t>() < 1)
    throw InputError(file + ": " + key + " is " + json.at(key).dump() + ", which is no number of tokens");
  return json.at(key).get<std::int64_t>();
}

/// How sentence-transformers 5.7 hands texts to the tokenizer; every key of it decides something.
void read_processing(const Json& json, const std::string& file, SentenceSettings& settings) {
  for (const auto& [modality, given] : json.items())
    if (modality != "text" && modality != "common" && !given.empty())
      throw InputError(file + ": processing_kwargs for " + modality + " are not supported (texts are embedded)");
  for (const char* part : {"common", "text"}) {
    if (!json.contains(part)) continue;
    const Json& text = json.at(part);
    for (const auto& [key, value] : text.items()) {
      const bool usual = value.is_null() || (key == "truncation" && value == true) || key == "padding" ||
                         (key == "return_tensors" && value == "pt");
      if (key != "max_length" && !usual)
        throw InputError(file + ": processing_kwargs: " + key + " = " + value.dump() + " is not supported");
    }
    if (const auto most = token_count(text, "max_length", file)) settings.max_tokens = most;
  }
}

/// sentence_bert_config.json: what a Transformer module is given. A key that is not known may change every vector.
/// `pairs`: of a cross-encoder.
void read_transformer(const std::string& file, bool pairs, SentenceSettings& settings) {
  const Json json = read_json_file(file);
  refuse_unknown_keys(json, "sentence_bert_config.json", file);
  const char* const output = pairs ? "logits" : "last_hidden_state";
  const Json usual = {{"transformer_task", pairs ? "sequence-classification" : "feature-extraction"},
                      {"module_output_name", pairs ? "scores" : "token_embeddings"},
                      {"modality_config", {{"text", {{"method", "forward"}, {"method_output_name", output}}}}}};
  for (const auto& [key, value] : json.items()) {
    const bool says_nothing = value.is_null() || (value.is_structured() && value.empty());
    if (usual.contains(key) && !says_nothing && usual.at(key) != value)
      throw InputError(file + ": " + key + " = " + value.dump() + " is not supported");
  }
  if (const auto most = token_count(json, "max_seq_length", file)) settings.max_tokens = most;
  settings.lower_case = json.value("do_lower_case", false);
  if (json.contains("processing_kwargs") && json.at("processing_kwargs").is_object())
    read_processing(json.at("processing_kwargs"), file, settings);
}

void read_transformer_files(const fs::path& folder, bool pairs, SentenceSettings& settings) {
  for (const char* file :
       {"sentence_xlm-roberta_config.json", "sentence_roberta_config.json", "sentence_bert_config.json"})
    if (is_there(folder / file)) read_transformer((folder / file).string(), pairs, settings);
}

/// What would change vectors or how they are compared.
void refuse_other_settings(const Json& own, const std::string& file, bool normalized) {
  const auto given = [&](const char* key) { return own.contains(key) && !own.at(key).is_null(); };
  refuse_unknown_keys(own, kOwnFile, file);
  if (given("truncate_dim")) throw InputError(file + ": truncate_dim is not supported");
  const bool product = normalized && given("similarity_fn_name") && own.at("similarity_fn_name") == "dot";  // the same
  if (given("similarity_fn_name") && own.at("similarity_fn_name") != "cosine" && !product)
    throw InputError(file + ": similarity_fn_name " + own.at("similarity_fn_name").dump() +
                     " is not supported (vectors are compared by their cosine)");
}

}  // namespace

std::optional<PairActivation> pair_activation_named(const std::string& name) {
  static const std::map<std::string, PairActivation> known = {{"identity", PairActivation::identity},
                                                              {"over_passages", PairActivation::over_passages},
                                                              {"sigmoid", PairActivation::sigmoid},
                                                              {"softmax", PairActivation::softmax}};
  const auto found = known.find(name);
  return found == known.end() ? std::nullopt : std::optional(found->second);
}

PairActivation read_pair_activation(const std::string& folder, std::int64_t labels) {
  const std::string path = (fs::path(folder) / "config.json").string();
  if (labels != 1 && labels != 2)
    throw InputError(path + ": a cross_encoder has one output or two, this head has " + std::to_string(labels));
  const Json json = read_json_file(path), own = read_if_there(fs::path(folder) / kOwnFile);
  refuse_unknown_keys(own, kOwnFile, (fs::path(folder) / kOwnFile).string());
  if (own.contains("default_prompt_name") && !own.at("default_prompt_name").is_null())
    throw InputError((fs::path(folder) / kOwnFile).string() + ": prompts of a cross-encoder are not supported");
  std::string name;
  if (own.contains("activation_fn") && own.at("activation_fn").is_string()) name = own.at("activation_fn");
  if (name.empty() && json.contains("sentence_transformers") && json.at("sentence_transformers").is_object())
    name = json.at("sentence_transformers").value("activation_fn", "");
  if (const char* key = "sbert_ce_default_activation_function";
      name.empty() && json.contains(key) && !json.at(key).is_null())
    name = json.at(key).get<std::string>();
  if (labels == 2) {
    if (name.empty() || name.ends_with(".Identity") || name.ends_with(".Softmax")) return PairActivation::softmax;
    throw InputError(path + ": activation function " + name + " of two outputs is not supported (their softmax is)");
  }
  if (name.empty() || name.ends_with(".Sigmoid")) return PairActivation::sigmoid;
  if (name.ends_with(".Identity")) return PairActivation::identity;
  throw InputError(path + ": activation function " + name + " is not supported (Sigmoid and Identity are)");
}

std::optional<std::int64_t> read_pair_tokens(const std::string& folder) try {
  SentenceSettings settings;
  read_transformer_files(folder, /*pairs=*/true, settings);
  if (settings.lower_case) throw InputError(folder + ": do_lower_case of a cross-encoder is not supported");
  return settings.max_tokens;
} catch (const Json::exception& error) {
  throw InputError(folder + ": a sentence-transformers file is not as expected: " + error.what());
}

const std::string& SentenceSettings::prompt(const std::vector<std::string>& names) const {
  static const std::string kNone;
  for (const std::string& name : names)
    if (const auto found = prompts.find(name); found != prompts.end()) return found->second;
  const auto found = prompts.find(default_prompt);
  return found == prompts.end() ? kNone : found->second;
}

SentenceSettings read_sentence_settings(const ModelFolder& model) try {
  const fs::path folder = model.path;
  SentenceSettings settings;
  if (model.architecture.ends_with("ForCausalLM")) settings.pooling = Pooling::last_token;
  if (is_there(folder / "modules.json")) read_modules(folder, settings);
  read_transformer_files(folder, /*pairs=*/false, settings);
  const Json own = read_if_there(folder / kOwnFile);
  refuse_other_settings(own, (folder / kOwnFile).string(), settings.normalize);
  if (own.contains("prompts") && own.at("prompts").is_object())
    settings.prompts = own.at("prompts").get<std::map<std::string, std::string>>();
  if (own.contains("default_prompt_name") && own.at("default_prompt_name").is_string())
    settings.default_prompt = own.at("default_prompt_name");
  const std::set<std::string> there = {"", "query", "document"};  // even where it has no such prompt
  if (!there.contains(settings.default_prompt) && !settings.prompts.contains(settings.default_prompt))
    throw InputError((folder / kOwnFile).string() + ": default_prompt_name \"" + settings.default_prompt +
                     "\" is none of its prompts");
  return settings;
} catch (const Json::exception& error) {
  throw InputError(model.path + ": a sentence-transformers file is not as expected: " + error.what());
}

}  // namespace proctor
