// What a row's settings change of the logits that its next token is chosen from.
#pragma once

#include <ATen/core/Tensor.h>

#include "worker/inference/generation_loop.h"

namespace proctor {

/// In place, in vLLM's order: logit_bias; what would end the row before its min_tokens, to -inf; repetition_penalty
/// over prompt and generated tokens (transformers' RepetitionPenaltyLogitsProcessor); presence and frequency over
/// generated ones. logits: [this member's share of the vocabulary], float32.
void change_logits(at::Tensor logits, const GenerationRow& row, const Tokens& eos_ids, const VocabularyShare& mine);

}  // namespace proctor
