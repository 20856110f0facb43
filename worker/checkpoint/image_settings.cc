#include "worker/checkpoint/image_settings.h"

#include "sharding/protocol/error.h"
#include "worker/base/json_file.h"

namespace proctor {
namespace {

/// Of a tile, pixels.
std::int64_t side_of(const VisionFacts& facts) {
  switch (facts.cutting) {
    case VisionFacts::Cutting::crop:
      return facts.crop_height;
    case VisionFacts::Cutting::grid:
    case VisionFacts::Cutting::none:
      return 0;
    default:
      return facts.side;
  }
}

void check_tiles(const ModelFolder& folder, const VisionFacts& facts) {
  const VisionConfig& tower = *folder.vision;
  const std::string file = folder.path + "/preprocessor_config.json";
  if (facts.patch != tower.patch && facts.cutting == VisionFacts::Cutting::grid)
    throw InputError(file + ": patches of " + std::to_string(facts.patch) + " pixels, the tower's have " +
                     std::to_string(tower.patch));
  const std::int64_t side = side_of(facts);
  if (side / tower.patch != tower.grid ||
      (side > 0 && facts.cutting == VisionFacts::Cutting::crop && facts.crop_width != facts.crop_height))
    throw InputError(file + ": tiles of " + std::to_string(side) + " pixels a side, the tower takes " +
                     std::to_string(tower.grid * tower.patch));
}

}  // namespace

ImageProcessor image_processor_of(const ModelFolder& folder, const ImageOptions& options) {
  std::optional<ImageProcessor> processor =
      read_image_processor(folder.path, read_json_file(folder.path + "/config.json"),
                           options.processor.value_or(ProcessorChoice::automatic));
  if (!processor) throw InputError(folder.path + ": reads no images");
  processor->facts = prepared_so(processor->facts, options);
  check_tiles(folder, processor->facts);
  return *processor;
}

}  // namespace proctor
