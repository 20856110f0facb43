// What turns a word into token ids: one of BPE, WordPiece, WordLevel, Unigram.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sharding/protocol/tokens.h"

namespace proctor {

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
template <class Value>
using StringMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

/// Thread-compatible: encode() may fill a cache, so one object serves one thread.
class TokenModel {
 public:
  virtual ~TokenModel() = default;
  /// Appends the ids of one word (UTF-8, as the pre-tokenizer gave it).
  virtual void encode(std::string_view word, Tokens& ids) = 0;
  std::optional<std::int32_t> id(std::string_view token) const;
  const std::string* token(std::int32_t id) const;  ///< null if there is none
  std::size_t size() const { return vocabulary_.size(); }

 protected:
  /// Of "<0x41>" for each byte; -1 where there is none.
  using ByteIds = std::array<std::int32_t, 256>;
  ByteIds byte_ids() const;
  /// Throws InputError for a fraction, or what is no number.
  static std::int64_t whole_id(const std::string& token, const nlohmann::json& id);
  /// Throws InputError for an id that no vocabulary can hold.
  void add_token(const std::string& token, std::int64_t id);

 private:
  StringMap<std::int32_t> vocabulary_;
  std::vector<std::string> tokens_;
};

/// `json`: tokenizer.json's "model". Throws InputError for what is not supported or not consistent.
std::unique_ptr<TokenModel> make_token_model(const nlohmann::json& json);

}  // namespace proctor
