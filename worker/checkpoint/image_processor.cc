#include "worker/checkpoint/image_processor.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"
#include "worker/base/json_file.h"
#include "worker/checkpoint/image_processor_files.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

Json read_if_there(const fs::path& path) {
  Json json = is_there(path) ? read_json_file(path.string()) : Json::object();
  if (!json.is_object()) throw InputError(path.string() + ": is not an object");
  return json;
}

Json object_in(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_object() ? *found : Json::object();
}

/// transformers 4.57.1 prefers preprocessor_config.json; version 5 writes the other.
ConfigReader open_pixels(const fs::path& folder, const Json& processor) {
  const fs::path own = folder / "preprocessor_config.json";
  if (is_there(own)) return {read_if_there(own), own.string()};
  const Json part = object_in(processor, "image_processor");
  if (part.empty())
    throw InputError(own.string() + " is missing, and processor_config.json has no \"image_processor\"; both say how " +
                     "images are resized and normalised");
  return {part, (folder / "processor_config.json").string() + ": image_processor"};
}

ImageProcessorFiles open_files(const fs::path& folder, const Json& config) {
  const fs::path processor = folder / "processor_config.json", model = folder / "config.json";
  const Json json = read_if_there(processor);
  return {open_pixels(folder, json),
          {json, processor.string()},
          {config, model.string()},
          {object_in(config, "vision_config"), model.string() + ": vision_config"},
          read_if_there(folder / "tokenizer_config.json")};
}

const ImageFamily* family_of(const Json& config) {
  const Json& names = config.contains("architectures") ? config.at("architectures") : Json();
  const std::string architecture = names.is_array() && !names.empty() && names[0].is_string() ? names[0] : Json("");
  const Json type = config.contains("model_type") ? config.at("model_type") : Json();
  const auto is_it = [&](const ImageFamily& one) {
    return architecture.empty() ? type == one.model_type : architecture == one.architecture;
  };
  const auto found = std::ranges::find_if(image_families(), is_it);
  return found == image_families().end() ? nullptr : &*found;
}

/// The file's class without "Fast", and whether it had that.
std::pair<std::string, bool> read_class(ImageProcessorFiles& files, const ImageFamily& family) {
  std::string name = files.pixels.get<std::string>("image_processor_type", "");
  if (name.empty()) {  // older files
    name = files.pixels.get<std::string>("feature_extractor_type", family.classes[0]);
    if (name.ends_with("FeatureExtractor")) name.replace(name.rfind("FeatureExtractor"), name.npos, "ImageProcessor");
  }
  const bool is_fast = name.ends_with("Fast");
  if (is_fast) name.erase(name.size() - 4);
  if (std::ranges::find(family.classes, name) == family.classes.end())
    files.pixels.refuse("image_processor_type", "is " + name + ", which is not known for " + family.architecture);
  return {name, is_fast};
}

bool chosen_fast(ProcessorChoice choice, const ImageProcessorClass& its, bool is_fast) {
  if (choice == ProcessorChoice::automatic) return is_fast || its.always_fast;
  return choice == ProcessorChoice::fast;
}

std::array<double, 3> read_channels(ConfigReader& reader, const char* key, const std::array<double, 3>& fallback) {
  const Json* value = reader.find(key);
  if (!value || value->is_null()) return fallback;
  if (value->is_number()) return {value->get<double>(), value->get<double>(), value->get<double>()};
  const auto is_number = [](const Json& one) { return one.is_number(); };
  if (!value->is_array() || value->size() != 3 || !std::ranges::all_of(*value, is_number))
    reader.refuse(key, "is " + value->dump() + ", not one number or three");
  return value->get<std::array<double, 3>>();
}

void read_resampling(ConfigReader& reader, const ImageProcessorClass& its, ImageProcessor& processor) {
  const auto number = reader.get<std::int64_t>("resample", static_cast<std::int64_t>(its.resample));
  if (number < 0 || number > static_cast<std::int64_t>(Resample::box))
    reader.refuse("resample", "is " + std::to_string(number) + "; 0 (nearest) to 4 (box) are known");
  processor.resample = static_cast<Resample>(number);
  if (!processor.fast) return;
  processor.resizing = its.on_floats ? Resizing::aten_floats : Resizing::aten_bytes;
  if (its.on_floats && processor.resample == Resample::lanczos) processor.resample = Resample::bicubic;
  if (processor.resample == Resample::lanczos || processor.resample == Resample::box)
    reader.refuse("resample",
                  "is " + std::to_string(number) + ", which the fast processor has not; choose the slow one");
}

void read_values(ConfigReader& reader, const ImageProcessorClass& its, ImageProcessor& processor) {
  reader.require("do_resize", true, "is not true; images of every size are not computed here");
  processor.rescales = reader.get("do_rescale", true);
  processor.normalizes = reader.get("do_normalize", true);
  processor.rescale_factor = reader.positive("rescale_factor", 1.0 / 255, 1e9);
  processor.mean = read_channels(reader, "image_mean", its.mean);
  processor.deviation = read_channels(reader, "image_std", its.deviation);
  for (const double value : processor.deviation)
    if (!(value > 0)) reader.refuse("image_std", "has " + Json(value).dump() + ", which is not above 0");
}

/// Keys that say nothing of a still RGB image, or that the processor's own defaults overrule.
void ignore_idle(ImageProcessorFiles& files) {
  files.pixels.ignore({"processor_class", "feature_extractor_type", "do_convert_rgb", "data_format",
                       "input_data_format", "device", "return_tensors", "disable_grouping", "default_to_square",
                       "_valid_processor_keys", "video_sampling", "return_row_col_info"});
  files.pixels.require("pad_size", Json(), "is not followed");
  files.processor.ignore({"processor_class", "chat_template", "image_processor", "video_processor", "video_token"});
}

std::int32_t read_token_id(ConfigReader& model, const ImageFamily& family) {
  const auto index = model.get<std::int32_t>("image_token_index", family.token_id);
  return model.get<std::int32_t>("image_token_id", index);
}

}  // namespace

std::string ImageProcessorFiles::token(const char* name, const std::string& fallback) const {
  for (const Json& place : {tokenizer, object_in(tokenizer, "extra_special_tokens")}) {
    const auto found = place.find(name);
    if (found == place.end()) continue;
    if (found->is_string()) return *found;
    if (found->is_object() && found->contains("content") && found->at("content").is_string())
      return found->at("content");
  }
  return fallback;
}

void ImageProcessorFiles::require_same(const char* key, std::int64_t value) {
  const Json* given = processor.find(key);
  if (given && !given->is_null() && *given != value)
    processor.refuse(key, "is " + given->dump() + ", where the vision tower gives " + std::to_string(value));
}

std::optional<ImageProcessor> read_image_processor(const std::string& folder, const Json& config,
                                                   ProcessorChoice choice) {
  const ImageFamily* family = family_of(config);
  if (!family) return std::nullopt;
  ImageProcessorFiles files = open_files(folder, config);
  const auto [name, is_fast] = read_class(files, *family);
  const auto its = std::ranges::find(image_processor_classes(), name, &ImageProcessorClass::name);
  PROCTOR_CHECK(its != image_processor_classes().end(), "a family's class is in the table of classes");
  ImageProcessor processor;
  processor.fast = chosen_fast(choice, *its, is_fast);
  ignore_idle(files);
  read_resampling(files.pixels, *its, processor);
  read_values(files.pixels, *its, processor);
  family->read(files, name, processor);
  processor.facts.token_id = read_token_id(files.model, *family);
  files.pixels.finish();
  files.processor.finish();
  return processor;
}

}  // namespace proctor
