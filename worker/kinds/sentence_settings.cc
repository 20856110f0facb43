#include "worker/kinds/sentence_settings.h"

#include <filesystem>

#include "sharding/error.h"
#include "worker/json_file.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

Json read_if_there(const fs::path& path) { return fs::exists(path) ? read_json_file(path.string()) : Json::object(); }

Pooling read_pooling(const fs::path& path) {
  const Json json = read_json_file(path.string());
  const std::map<std::string, Pooling> known = {{"pooling_mode_mean_tokens", Pooling::mean},
                                                {"pooling_mode_cls_token", Pooling::cls},
                                                {"pooling_mode_lasttoken", Pooling::last_token}};
  std::optional<Pooling> chosen;
  for (const auto& [key, value] : json.items()) {
    if (!key.starts_with("pooling_mode_") || !value.is_boolean() || !value.get<bool>()) continue;
    const auto found = known.find(key);
    if (found == known.end() || chosen)
      throw InputError(path.string() + ": " + key + " is not supported" + (chosen ? " beside another mode" : "") +
                       " (one of mean_tokens, cls_token, lasttoken)");
    chosen = found->second;
  }
  if (!chosen) throw InputError(path.string() + ": no pooling mode is set");
  if (!json.value("include_prompt", true)) throw InputError(path.string() + ": include_prompt false is not supported");
  return *chosen;
}

void read_modules(const fs::path& folder, SentenceSettings& settings) {
  const fs::path path = folder / "modules.json";
  for (const Json& module : read_json_file(path.string())) {
    const std::string type = module.at("type"), name = type.substr(type.rfind('.') + 1);
    const std::string where = module.value("path", "");
    if (name == "Transformer" && where.empty()) continue;
    if (name == "Pooling")
      settings.pooling = read_pooling(folder / where / "config.json");
    else if (name == "Normalize")
      settings.normalize = true;
    else
      throw InputError(path.string() + ": module " + type + (where.empty() ? "" : " in " + where) +
                       " is not supported (Transformer in the folder itself, Pooling, Normalize)");
  }
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
  if (labels == 2) return PairActivation::softmax;
  const Json json = read_json_file(path);
  std::string name;
  if (json.contains("sentence_transformers") && json.at("sentence_transformers").is_object())
    name = json.at("sentence_transformers").value("activation_fn", "");
  if (name.empty() && json.contains("sbert_ce_default_activation_function"))
    name = json.at("sbert_ce_default_activation_function").get<std::string>();
  if (name.empty() || name.ends_with(".Sigmoid")) return PairActivation::sigmoid;
  if (name.ends_with(".Identity")) return PairActivation::identity;
  throw InputError(path + ": activation function " + name + " is not supported (Sigmoid and Identity are)");
}

const std::string& SentenceSettings::prompt(const std::vector<std::string>& names) const {
  static const std::string kNone;
  for (const std::string& name : names)
    if (const auto found = prompts.find(name); found != prompts.end()) return found->second;
  const auto found = prompts.find(default_prompt);
  return found == prompts.end() ? kNone : found->second;
}

SentenceSettings read_sentence_settings(const std::string& path) try {
  const fs::path folder = path;
  SentenceSettings settings;
  if (fs::exists(folder / "modules.json")) read_modules(folder, settings);
  const Json transformer = read_if_there(folder / "sentence_bert_config.json");
  if (transformer.contains("max_seq_length") && transformer.at("max_seq_length").is_number())
    settings.max_tokens = transformer.at("max_seq_length").get<std::int64_t>();
  settings.lower_case = transformer.value("do_lower_case", false);
  const Json own = read_if_there(folder / "config_sentence_transformers.json");
  if (own.contains("prompts") && own.at("prompts").is_object())
    settings.prompts = own.at("prompts").get<std::map<std::string, std::string>>();
  if (own.contains("default_prompt_name") && own.at("default_prompt_name").is_string())
    settings.default_prompt = own.at("default_prompt_name");
  return settings;
} catch (const Json::exception& error) {
  throw InputError(path + ": a sentence-transformers file is not as expected: " + error.what());
}

}  // namespace proctor
