// Facts as the worker binary prints them, and as runs keep them.
#pragma once

#include <nlohmann/json.hpp>

#include "sharding/protocol/facts.h"

namespace proctor {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ModelFacts, architecture, checkpoint_dtype, parameters,
                                                active_parameters, weight_bytes, layers, hidden, heads, kv_heads,
                                                head_dim, intermediate, feed_forward, vocabulary, max_length,
                                                bytes_per_token, shares_beginnings, model_hash, folder_hash, eos_text,
                                                bos_text, kinds, notes)

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(DeviceFacts, kind, count, bytes, instruction_set, torch_version,
                                                nccl_version, cuda_driver, numerics, numa_nodes, float32_flops,
                                                bfloat16_flops)

}  // namespace proctor
