// The BPE model of a tokenizer.json: byte-level, byte fallback, ignore_merges, fuse_unk, end_of_word_suffix.
// encode() fills a cache.
#pragma once

#include <unordered_map>

#include "sharding/protocol/tokens.h"
#include "worker/tokenizer/token_model.h"

namespace proctor {

class Bpe final : public TokenModel {
 public:
  /// `json`: the file's "model". Throws InputError for what is not supported or not consistent.
  explicit Bpe(const nlohmann::json& json);

  void encode(std::string_view word, Tokens& ids) override;

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

  std::unordered_map<std::uint64_t, Merge> merges_;
  StringMap<Tokens> cache_;
  std::optional<std::int32_t> unknown_;
  ByteIds byte_ids_{};
  std::string prefix_, suffix_;
  bool fuse_unknown_ = false, byte_fallback_ = false, ignore_merges_ = false;
};

}  // namespace proctor
