// Features of prepared images, computed in batches. Compute thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "worker/images/image_input.h"
#include "worker/models/image_features.h"
#include "worker/models/vision/vision_tower.h"

namespace proctor {

/// Of all images one after another, on the tower's device. A batch is as many images as have max_patches together, one
/// at least; `begin` is told of each: its images are [first, last). A pure function of the images and max_patches.
ImageFeatures image_features(const VisionTower& tower, std::span<const ImageInput> images, std::int64_t max_patches,
                             const std::function<void(std::size_t first, std::size_t last)>& begin);

}  // namespace proctor
