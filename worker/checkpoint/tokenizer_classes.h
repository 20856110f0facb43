// What transformers' tokenizer classes (4.57.1) have where no file says it. Includes no torch.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace proctor {

/// config.json's own class, else what AutoTokenizer picks for the model's; "" where it does not matter here.
std::string default_tokenizer_class(const nlohmann::json& config);

/// Whether a class makes token type ids: its model_input_names.
bool class_gives_types(const std::string& name);

/// Special tokens by key ("bos_token") that a class has where neither tokenizer_config.json nor special_tokens_map.json
/// has the key.
std::map<std::string, std::string> class_tokens(const std::string& name);

/// How many of T5's "<extra_id_0>", ... there are where additional_special_tokens is not given.
std::int64_t extra_ids(const std::string& name, const nlohmann::json& tokenizer_config);

}  // namespace proctor
