// image: {min_pixels, max_pixels, processor, upright}.
#include "orchestrator/suite/yaml_fields.h"

namespace proctor {

ImageOptions read_image_options(YamlFields fields) {
  ImageOptions options;
  if (fields.has("min_pixels")) options.min_pixels = fields.whole("min_pixels", 0, 1);
  if (fields.has("max_pixels")) options.max_pixels = fields.whole("max_pixels", 0, 1);
  if (options.min_pixels && options.max_pixels && *options.min_pixels > *options.max_pixels)
    fields.refuse("min_pixels", "is more than max_pixels, " + std::to_string(*options.max_pixels));
  if (fields.has("processor")) {
    const std::string name = fields.text("processor", "auto");
    options.processor = processor_choice_from(name);
    if (!options.processor) fields.refuse("processor", "expected auto, slow or fast, found '" + name + "'");
  }
  if (fields.has("upright")) options.upright = fields.get("upright", false, "true or false");
  fields.finish();
  return options;
}

}  // namespace proctor
