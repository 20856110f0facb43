#include "sharding/protocol/image_options.h"

#include <array>
#include <utility>

namespace proctor {
namespace {

constexpr std::array<std::pair<ProcessorChoice, const char*>, 3> kProcessors = {
    {{ProcessorChoice::automatic, "auto"}, {ProcessorChoice::slow, "slow"}, {ProcessorChoice::fast, "fast"}}};

}  // namespace

std::string to_string(ProcessorChoice processor) {
  for (const auto& [value, name] : kProcessors)
    if (value == processor) return name;
  return "auto";
}

std::optional<ProcessorChoice> processor_choice_from(const std::string& name) {
  for (const auto& [value, known] : kProcessors)
    if (name == known) return value;
  return std::nullopt;
}

ImageOptions ImageOptions::changed_by(const ImageOptions& changes) const {
  const auto either = [](const auto& first, const auto& second) { return first ? first : second; };
  return {either(changes.min_pixels, min_pixels), either(changes.max_pixels, max_pixels),
          either(changes.processor, processor), either(changes.upright, upright)};
}

VisionFacts prepared_so(VisionFacts facts, const ImageOptions& options) {
  facts.min_pixels = options.min_pixels.value_or(facts.min_pixels);
  facts.max_pixels = options.max_pixels.value_or(facts.max_pixels);
  facts.upright = options.upright.value_or(facts.upright);
  return facts;
}

}  // namespace proctor
