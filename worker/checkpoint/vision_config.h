// What a vision tower and the projector behind it compute, as facts and not as family names: checkpoint/families_vision
// turns a config.json into this, vision_weights.cc this into weight sources; models/vision computes it. All towers are
// encoders of patches with norms before their blocks. Includes no torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/base/activation.h"
#include "worker/checkpoint/decoder_config.h"

namespace proctor {

/// Tensors of a checkpoint, without ".weight". Those of a layer begin with `layer`, its number and a dot; an empty
/// name: there is none.
struct VisionNames {
  std::string patch, class_token, positions;  ///< the last two in full
  std::string input_norm, final_norm, layer;
  std::string q, k, v, qkv, output, q_norm, k_norm, attention_in, mlp_in;
  std::string gate, up, down, attention_scale, mlp_scale;  ///< the last two in full
  std::string projector_norm, first, second;               ///< of the projector; `second` alone may be there
  std::string matrix;                                      ///< in full: [vision, text], not transposed
  std::string deepstack, newline;                          ///< mergers, their number and a dot; a vector, in full
  bool leading_ones = false;  ///< the table is [1, positions, hidden], the class token [1, 1, hidden]
};

struct VisionConfig {
  std::int64_t hidden = 0, intermediate = 0, layers = 0, heads = 0, head_dim = 0;
  std::int64_t patch = 14;
  std::int64_t frames = 1;  ///< a patch has so many, of a still image all alike
  std::int64_t grid = 0;    ///< patches a side of a tile; 0: whole images of any size, merge x merge patches together

  NormFacts norm;
  NormFacts final_norm;  ///< behind the last layer, where the names have one
  Activation activation = Activation::gelu;
  bool gated = false;
  bool patch_bias = false, qkv_bias = true;
  bool has_class_token = false;  ///< in front of a tile's patches, and dropped behind the last layer
  bool keeps_class_token = false;
  /// Rows of the table of positions; 0: there is none. With grid 0 it is a square, read between its rows.
  std::int64_t positions = 0;
  bool rotates = false;  ///< by row and column (Qwen2-VL)
  /// Of a layer: patches attend those of their window alone, so many merged cells a side; 0: all of the image.
  std::vector<std::int64_t> windows;
  bool scales_blocks = false;           ///< a vector times what each block adds
  bool norms_queries_and_keys = false;  ///< over the whole width
  /// Which states go on, side by side: of so many layers; -1: of all, behind the last norm if there is one.
  std::vector<std::int64_t> taken = {-1};
  std::vector<std::int64_t> deepstack;  ///< layers whose states go into the decoder's first layers, through mergers

  std::int64_t merge = 1;      ///< merge x merge patches become one row of features: side by side, or
  bool averages = false;       ///< their mean
  bool norms_patches = false;  ///< the projector's norm is over each patch; else over what was merged
  NormFacts projector_norm;
  Activation projector_activation = Activation::gelu;
  bool projector_bias = true;
  std::int64_t projector_hidden = 0;  ///< between two products; 0: there is but one
  std::int64_t text_hidden = 0;

  VisionNames names;

  std::int64_t patch_values() const { return 3 * frames * patch * patch; }
  std::int64_t merged() const {
    const auto states = static_cast<std::int64_t>(taken.size());
    return hidden * states * (averages ? 1 : merge * merge);
  }
};

}  // namespace proctor
