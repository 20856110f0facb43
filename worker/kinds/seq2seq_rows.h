// Requests -> rows of an encoder with a decoder, cut and encoded as lm-eval's `hf` model with backend seq2seq does.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "sharding/protocol/module.h"
#include "worker/kinds/request_rows.h"
#include "worker/kinds/text_module.h"

namespace proctor {

/// Tokens of the encoder's text, and of what is scored. Throws InputError for more than there are positions.
std::int64_t seq2seq_limit(const ModelFolder& folder, const Module& module);

struct Seq2SeqRows {
  std::vector<TextRow> scored, generated;  // `part` of a generated one: which of `writing`
  std::vector<GenerationRow> writing;
  std::set<std::size_t> past_table;                   // requests whose text is not finished where positions end
  std::vector<std::vector<std::size_t>> stop_tokens;  // of each of those, how many tokens each of its stops has
  std::vector<std::int64_t> truncated;                // of each request
  std::vector<std::string> errors;
};

class Seq2SeqRowMaker {
 public:
  /// Folder and codec outlive this.
  Seq2SeqRowMaker(const ModelFolder& folder, TextCodec& codec, std::int64_t max_tokens)
      : folder_(folder), codec_(codec), max_tokens_(max_tokens), requests_(folder, codec, max_tokens) {}

  Seq2SeqRows of_requests(std::span<const Request> requests) const;

 private:
  void add_pair(const Request& request, std::uint32_t index, Seq2SeqRows& rows) const;
  void add_windows(const Request& request, std::uint32_t index, Seq2SeqRows& rows) const;
  void add_generation(const Request& request, std::uint32_t index, Seq2SeqRows& rows) const;
  std::int64_t cut(Tokens& context, OnLong on_long) const;

  const ModelFolder& folder_;
  TextCodec& codec_;  // its caches grow
  std::int64_t max_tokens_;
  RequestRows requests_;
};

}  // namespace proctor
