// Text to ids and back as lm-eval's `hf` model does it with transformers 4.57.1: which special tokens are added, the
// prefix token, how a context and its continuation are cut. One thread encodes at a time (caches grow); another may
// decode meanwhile. Includes no torch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/tokenizer/tokenizer.h"

namespace proctor {

struct ContextAndContinuation {
  Tokens context, continuation;
};

class TextCodec {
 public:
  TextCodec(const ModelFolder& folder, std::optional<bool> add_bos_token);

  Tokens encode(std::string_view text);
  /// lm-eval's _encode_pair: trailing white space of the context moves to the continuation. Throws InputError where the
  /// continuation has no token.
  ContextAndContinuation encode_pair(std::string context, std::string continuation);
  /// The same of an encoder and its decoder: each part is encoded alone, the continuation without special tokens.
  ContextAndContinuation encode_apart(std::string context, std::string continuation);
  /// As the tokenizer's own file says.
  Tokens encode_with_specials(std::string_view text) { return tokenizer_.encode(text, Special::add).ids; }
  Encoding encode_at_most(std::string_view text, std::size_t most) {
    return typed(tokenizer_.encode_at_most(text, most));
  }
  Encoding encode_pair_at_most(std::string_view first, std::string_view second, std::size_t most,
                               Truncation truncation = Truncation::longest_first) {
    return typed(tokenizer_.encode_pair_at_most(first, second, most, truncation));
  }
  /// What encode_pair_at_most puts around the two texts.
  void set_pair_template(std::vector<TemplatePart> parts) { tokenizer_.set_pair_template(std::move(parts)); }
  std::int32_t id(std::string_view token) const { return tokenizer_.id(token); }  ///< -1 if there is none
  Tokens encode_without_specials(std::string_view text) { return tokenizer_.encode(text, Special::leave_out).ids; }
  /// Special tokens skipped, spaces cleaned up where tokenizer_config.json says so.
  std::string decode(std::span<const TokenId> ids) const;
  /// The same, but these special tokens are kept.
  std::string decode_keeping(std::span<const TokenId> ids, std::span<const TokenId> kept) const;
  /// With special tokens, spaces cleaned up as in decode(): where stop strings are looked for, too.
  std::string decode_whole(std::span<const TokenId> ids) const;
  bool cleans_up() const { return settings_.clean_up_spaces; }  ///< what follows may take a space away
  std::int32_t prefix_id() const;                  ///< BOS, else EOS; throws InputError if there is neither
  std::int32_t bos_id() const { return bos_id_; }  ///< -1: none
  bool pads_with_bos() const { return !settings_.pad_token.empty() && settings_.pad_token == settings_.bos_token; }
  std::int32_t pad_id() const {  ///< -1: none
    return tokenizer_.id(settings_.pad_token);
  }
  std::int32_t eos_id() const { return eos_id_; }  ///< -1: none
  const std::string& eos_text() const { return settings_.eos_token; }
  Tokenizer& tokenizer() { return tokenizer_; }
  /// A model that is not given types takes 0.
  Encoding typed(Encoding encoding) const {
    if (!settings_.gives_types) std::ranges::fill(encoding.type_ids, 0);
    return encoding;
  }

 private:
  Tokenizer tokenizer_;
  TokenizerSettings settings_;
  std::optional<bool> add_bos_token_;
  std::string prefix_text_;
  std::int32_t bos_id_ = -1, eos_id_ = -1;
};

/// Python's len(text) - len(text.rstrip()), in bytes.
std::size_t trailing_white_space(std::string_view text);
std::string stripped(std::string_view text);  ///< Python's str.strip()

}  // namespace proctor
