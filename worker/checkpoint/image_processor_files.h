// What a family's reader of its image processor reads from. image_processor.cc opens the files and reads what all
// families have in common; image_processor_families.cc has the families.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "worker/checkpoint/config_reader.h"
#include "worker/checkpoint/image_processor.h"

namespace proctor {

struct ImageProcessorFiles {
  ConfigReader pixels;       ///< preprocessor_config.json, or processor_config.json's image_processor
  ConfigReader processor;    ///< processor_config.json; empty where there is none
  ConfigReader model;        ///< config.json; not read to its end here
  ConfigReader vision;       ///< its vision_config
  nlohmann::json tokenizer;  ///< tokenizer_config.json; empty where there is none

  /// A special token's text by its name there, else `fallback`.
  std::string token(const char* name, const std::string& fallback) const;
  /// Throws InputError where processor_config.json has another number than the one that the tower gives.
  void require_same(const char* key, std::int64_t value);
};

/// One of transformers' image processor classes, without its "Fast", and its defaults.
struct ImageProcessorClass {
  std::string name;
  Resample resample;
  std::array<double, 3> mean, deviation;
  bool always_fast = false;  ///< to AutoProcessor, whatever the file says
  bool on_floats = false;    ///< the fast one resizes in float32
};

struct ImageFamily {
  std::string architecture, model_type;
  std::vector<std::string> classes;  ///< that it may have; the first one is its own
  std::int32_t token_id;             ///< where config.json has none
  /// Fills in facts and frames; the class's name is given.
  std::function<void(ImageProcessorFiles&, const std::string&, ImageProcessor&)> read;
};

/// LLaVA's; the others stand beside the table.
void read_llava(ImageProcessorFiles& files, const std::string& name, ImageProcessor& processor);
void read_llava_next(ImageProcessorFiles& files, const std::string& name, ImageProcessor& processor);
void read_llava_onevision(ImageProcessorFiles& files, const std::string& name, ImageProcessor& processor);

const std::vector<ImageProcessorClass>& image_processor_classes();
const std::vector<ImageFamily>& image_families();

}  // namespace proctor
