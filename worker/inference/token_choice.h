// The next token of rows that are generated: what their settings change of the logits, the likeliest or a drawn one,
// and whether a row is finished with it. Compute thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/checkpoint/text_codec.h"
#include "worker/inference/generation_row.h"
#include "worker/inference/scoring.h"

namespace proctor {

class TokenChoice {
 public:
  /// Codec and eos_ids must outlive this.
  TokenChoice(const TextCodec& codec, const Tokens& eos_ids, LogitColumns columns)
      : codec_(codec), eos_ids_(eos_ids), columns_(columns) {}

  /// Collective. Appends a token to each row, or marks it broken. logits [rows, columns], float32, of the rows; used
  /// up. Returns of each row whether it is finished.
  std::vector<bool> operator()(at::Tensor logits, std::span<GenerationRow* const> rows) const;

 private:
  void draw(const at::Tensor& logits, std::span<GenerationRow* const> rows, Tokens& tokens) const;
  at::Tensor whole_logits(const at::Tensor& logits) const;
  bool is_finished(const GenerationRow& row) const;

  const TextCodec& codec_;
  const Tokens& eos_ids_;
  LogitColumns columns_;
};

}  // namespace proctor
