// The BPE model of a tokenizer.json: byte-level, byte fallback, ignore_merges, fuse_unk, end_of_word_suffix.
// Thread-compatible: encode() fills a cache, so one object serves one thread.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace proctor {

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
template <class Value>
using StringMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

class Bpe {
 public:
  /// `json`: the file's "model". Throws InputError for what is not supported or not consistent.
  explicit Bpe(const nlohmann::json& json);

  /// Appends the ids of one word (UTF-8, as the pre-tokenizer gave it).
  void encode(std::string_view word, std::vector<std::int32_t>& ids);
  std::optional<std::int32_t> id(std::string_view token) const;
  const std::string* token(std::int32_t id) const;

 private:
  struct Merge {
    std::uint32_t rank;
    std::int32_t id;
  };
  struct Symbol {
    std::int32_t id, previous, next;
    bool dead = false;
  };
  void read_merges(const nlohmann::json& merges);
  const Merge* merge_of(std::int32_t left, std::int32_t right) const;
  std::vector<Symbol> symbols_of(std::string_view word) const;
  void merge(std::vector<Symbol>& symbols) const;

  StringMap<std::int32_t> vocabulary_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::uint64_t, Merge> merges_;
  std::unordered_map<std::string, std::vector<std::int32_t>, StringHash, std::equal_to<>> cache_;
  std::optional<std::int32_t> unknown_;
  std::array<std::int32_t, 256> byte_ids_{};  // "<0x41>"; -1 where there is none
  std::string prefix_, suffix_;
  bool fuse_unknown_ = false, byte_fallback_ = false, ignore_merges_ = false;
};

}  // namespace proctor
