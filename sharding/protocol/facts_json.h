// Facts as the worker binary prints them, and as runs keep them.
#pragma once

#include <nlohmann/json.hpp>

#include "sharding/protocol/facts.h"

namespace proctor {

NLOHMANN_JSON_SERIALIZE_ENUM(VisionFacts::Cutting, {{VisionFacts::Cutting::none, "none"},
                                                    {VisionFacts::Cutting::crop, "crop"},
                                                    {VisionFacts::Cutting::grid, "grid"},
                                                    {VisionFacts::Cutting::pinpoints, "pinpoints"},
                                                    {VisionFacts::Cutting::pinpoints_pooled, "pinpoints_pooled"},
                                                    {VisionFacts::Cutting::splits, "splits"},
                                                    {VisionFacts::Cutting::ratio, "ratio"},
                                                    {VisionFacts::Cutting::square, "square"}})

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(VisionFacts, cutting, placeholder, before, after, opening, closing,
                                                token, token_id, patch, merge, side, crop_height, crop_width,
                                                min_pixels, max_pixels, longest, cuts, min_tiles, max_tiles,
                                                tile_tokens, most_tiles, pinpoints, upright, max_length)

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(EngineFacts, name, protocol, versions, answers, promises, code_hash,
                                                environment)

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ModelFacts, architecture, checkpoint_dtype, parameters,
                                                active_parameters, weight_bytes, layers, hidden, heads, kv_heads,
                                                head_dim, intermediate, feed_forward, vocabulary, max_length,
                                                bytes_per_token, shares_beginnings, model_hash, folder_hash, eos_text,
                                                bos_text, kinds, notes, vision, image_processor, engine)

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(DeviceFacts, kind, count, bytes, instruction_set, torch_version,
                                                nccl_version, cuda_driver, numerics, image_decoders, numa_nodes,
                                                float32_flops, bfloat16_flops)

}  // namespace proctor
