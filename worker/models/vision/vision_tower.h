// From patches of images to rows of features that a decoder takes in place of embeddings: an encoder of patches and the
// projector behind it, of any family (VisionConfig). Every member of a gang has the whole tower. Compute thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "worker/checkpoint/vision_config.h"
#include "worker/models/norm.h"
#include "worker/models/rope_angles.h"
#include "worker/models/vision/patch_places.h"
#include "worker/models/weights.h"

namespace proctor {

class VisionTower {
 public:
  /// `weights`: of vision_weight_sources.
  VisionTower(const VisionConfig& config, const Weights& weights);

  struct Features {
    at::Tensor rows;               ///< [sum of the images' or tiles' rows, text_hidden], the module's dtype
    std::vector<at::Tensor> deep;  ///< the same, to be added behind each of the decoder's first layers
  };
  /// Images, or tiles (each of VisionConfig::grid patches a side), one after another; they do not see each other.
  /// values [patches, patch_values()], float32: those of a tile row by row, those of an image as places_of() has them.
  Features forward(const at::Tensor& values, std::span<const PatchGrid> images) const;
  /// [text_hidden]: what ends a row of tiles; undefined where the family has none.
  const at::Tensor& newline() const { return newline_; }

  const VisionConfig& config() const { return config_; }
  std::uint64_t patches_computed() const { return patches_; }
  /// 2 for each weight that a patch meets, 4 x hidden for each attended patch and layer.
  double flops_computed() const { return flops_; }

 private:
  struct Linear {
    at::Tensor weight, bias;
    at::Tensor operator()(const at::Tensor& x) const;
  };
  struct Layer {
    Norm attention_in, mlp_in, q_norm, k_norm;
    Linear qkv, output, up, down;
    at::Tensor attention_scale, mlp_scale;
  };
  struct Merger {
    Norm norm;
    Linear first, second;
  };
  /// What all layers have in common.
  struct Pass {
    std::vector<std::int64_t> images;   // patches of each that attend each other
    std::vector<std::int64_t> windows;  // the same of layers with windows
    Angles angles;
  };
  Layer read_layer(std::int64_t index, const Weights& weights) const;
  Merger read_merger(const std::string& name, const Weights& weights, const NormFacts& norm) const;
  at::Tensor embed(const at::Tensor& values, std::span<const PatchGrid> images) const;
  at::Tensor interpolated_positions(const PatchGrid& grid) const;
  Angles angles_of_places(std::span<const PatchGrid> images) const;
  /// [patches] -> [patches]: window by window; and its inverse. Undefined where there are no windows.
  at::Tensor window_order(std::span<const PatchGrid> images, Pass& pass) const;
  at::Tensor block(std::int64_t index, const at::Tensor& x, const Pass& pass) const;
  at::Tensor without_class_tokens(const at::Tensor& x) const;
  at::Tensor merged(const at::Tensor& x) const;
  at::Tensor project(const at::Tensor& x) const;
  void count(const Pass& pass) const;

  VisionConfig config_;
  Linear patch_;
  at::Tensor class_token_, positions_, newline_, inverse_frequencies_;
  Norm input_norm_, final_norm_;
  std::vector<Layer> layers_;
  Merger projector_;
  std::vector<Merger> deepstack_;
  mutable std::uint64_t patches_ = 0;  // no part of what it computes
  mutable double flops_ = 0;
};

}  // namespace proctor
