// What is answered of a row that was generated.
#pragma once

#include "sharding/protocol/ask.h"
#include "worker/checkpoint/text_codec.h"
#include "worker/inference/generation_row.h"

namespace proctor {

/// Stops cut what is answered, not what is thought before.
GenerateAnswer answer_of(const GenerationRow& row, const Generate& ask, const TextCodec& codec);

}  // namespace proctor
