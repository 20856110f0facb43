// SentencePiece's precompiled character map, tokenizer.json's normalizer "Precompiled": a double-array trie from
// beginnings of text to their replacements. Pure; thread-safe after construction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace proctor {

class CharacterMap {
 public:
  /// `base64`: the file's precompiled_charsmap. Throws InputError where it is damaged.
  explicit CharacterMap(const std::string& base64);
  /// As Hugging Face applies it: a grapheme of fewer than 6 bytes whole if its shortest mapped beginning is found, else
  /// code point by code point.
  std::string apply(std::string_view text) const;

 private:
  std::optional<std::string_view> replacement(std::string_view chunk) const;
  std::vector<std::uint32_t> units_;
  std::string replacements_;  // each ends with a zero byte
};

}  // namespace proctor
