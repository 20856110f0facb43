#include "worker/images/value_table.h"

namespace proctor {
namespace {

/// image_transforms.py: rescale in doubles, then float32.
float slow_value(const ImageProcessor& processor, std::size_t channel, int byte) {
  const float value =
      static_cast<float>(processor.rescales ? static_cast<double>(byte) * processor.rescale_factor : byte);
  if (!processor.normalizes) return value;
  return (value - static_cast<float>(processor.mean[channel])) / static_cast<float>(processor.deviation[channel]);
}

/// image_processing_utils_fast.py: mean and deviation are scaled up, where both steps are taken.
float fast_value(const ImageProcessor& processor, std::size_t channel, int byte) {
  const auto value = static_cast<float>(byte);
  if (!processor.normalizes) return processor.rescales ? value * static_cast<float>(processor.rescale_factor) : value;
  const float by = processor.rescales ? static_cast<float>(1.0 / processor.rescale_factor) : 1.0F;
  const float mean = static_cast<float>(processor.mean[channel]) * by;
  return (value - mean) / (static_cast<float>(processor.deviation[channel]) * by);
}

}  // namespace

ValueTable make_value_table(const ImageProcessor& processor) {
  ValueTable table;
  for (std::size_t channel = 0; channel < table.size(); ++channel)
    for (int byte = 0; byte < 256; ++byte)
      table[channel][static_cast<std::size_t>(byte)] =
          processor.fast ? fast_value(processor, channel, byte) : slow_value(processor, channel, byte);
  return table;
}

}  // namespace proctor
