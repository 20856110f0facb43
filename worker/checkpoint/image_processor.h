// How a model's image processor makes pixel values of a picture: preprocessor_config.json, or what
// processor_config.json says of it, completed by the defaults of its class in transformers 4.57.1. worker/images does
// what it says. Includes no torch.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "sharding/protocol/image_options.h"
#include "sharding/protocol/vision_facts.h"

namespace proctor {

/// Numbered as Pillow numbers its filters.
enum class Resample { nearest = 0, lanczos = 1, bilinear = 2, bicubic = 3, box = 4 };

/// Whose arithmetic: Pillow's, of slow processors; ATen's on uint8, of fast ones; ATen's on float32, of the fast ones
/// of Idefics 3 and SmolVLM.
enum class Resizing { pillow, aten_bytes, aten_floats };

struct ImageProcessor {
  VisionFacts facts;
  Resample resample = Resample::bicubic;
  Resizing resizing = Resizing::pillow;
  bool fast = false;  ///< rescaled and normalised in one step, on float32
  bool rescales = true, normalizes = true;
  double rescale_factor = 1.0 / 255;
  std::array<double, 3> mean{}, deviation{};  ///< of red, green, blue
  std::int64_t frames = 2;                    ///< grid: a still image is so many times itself
};

/// Nothing where config.json's architecture reads no images. automatic: what AutoProcessor takes.
/// facts.min_pixels and max_pixels may be set to others afterwards. Throws InputError naming a file, key and value that
/// is not followed, or a family's processor that is not known.
std::optional<ImageProcessor> read_image_processor(const std::string& folder, const nlohmann::json& config,
                                                   ProcessorChoice choice);

}  // namespace proctor
