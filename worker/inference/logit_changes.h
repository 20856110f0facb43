// What a row's settings change of the logits that its next token is chosen from.
#pragma once

#include <ATen/core/Tensor.h>

#include "worker/checkpoint/tensor_parallel.h"
#include "worker/inference/generation_row.h"

namespace proctor {

/// In place, in vLLM's order: logit_bias; what would end the row before its min_tokens, to -inf; repetition_penalty
/// over prompt and generated tokens (transformers' RepetitionPenaltyLogitsProcessor); presence and frequency over
/// generated ones; then what would repeat tokens, and a token that is forced, as transformers has them. logits: [this
/// member's share of the vocabulary], float32.
void change_logits(at::Tensor logits, const GenerationRow& row, const Tokens& eos_ids, const VocabularyShare& mine);

}  // namespace proctor
