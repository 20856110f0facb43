// tokenizer.json's "pre_tokenizer": cuts a normalized text into the words that the model sees apart. Thread-safe after
// construction.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace proctor {

/// A text and the words in it: [begin, end) byte ranges, ascending.
struct Words {
  std::string text;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges;
  bool at_start = true;  ///< the text begins the input (Metaspace's prepend_scheme "first")
};

using PreTokenizer = std::function<void(Words&)>;

/// `json` may be null (one word). Throws InputError naming a type that is not supported.
PreTokenizer make_pre_tokenizer(const nlohmann::json& json);

/// GPT-2's mapping of a byte to the character that stands for it, as UTF-8.
const std::string& byte_character(unsigned char byte);

}  // namespace proctor
