// How images are prepared, where the user says so: a module's `image`, of which a task may change some for itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sharding/protocol/vision_facts.h"

namespace proctor {

/// Of transformers' two, whose numbers differ: PIL's resizing or torchvision's; automatic: as the folder says.
enum class ProcessorChoice { automatic, slow, fast };
std::string to_string(ProcessorChoice processor);
std::optional<ProcessorChoice> processor_choice_from(const std::string& name);

/// Absent: as the folder's preprocessor_config.json says; not upright.
struct ImageOptions {
  std::optional<std::int64_t> min_pixels, max_pixels;
  std::optional<ProcessorChoice> processor;
  std::optional<bool> upright;  ///< turned as EXIF says

  /// What `changes` says wins; of the rest this.
  ImageOptions changed_by(const ImageOptions& changes) const;
  bool operator==(const ImageOptions&) const = default;
};

/// What a model does with images that are prepared so.
VisionFacts prepared_so(VisionFacts facts, const ImageOptions& options);

}  // namespace proctor
