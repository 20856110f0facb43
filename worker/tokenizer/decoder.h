// tokenizer.json's "decoder": token strings -> text.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace proctor {

using TokenDecoder = std::function<std::vector<std::string>(std::vector<std::string>)>;

/// transformers' clean_up_tokenization: spaces before punctuation and English contractions.
std::string clean_up_spaces(std::string text);

/// Null: tokens joined by spaces. Throws InputError naming a type that is not supported.
TokenDecoder make_token_decoder(const nlohmann::json& json);

}  // namespace proctor
