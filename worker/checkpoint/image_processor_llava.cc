// LLaVA 1.5, LLaVA-NeXT and LLaVA-OneVision, by what transformers 4.57.1 has in image_processing_*.py, processing_*.py
// and configuration_*.py of each.
#include <algorithm>

#include "worker/checkpoint/image_processor_fields.h"
#include "worker/checkpoint/image_processor_files.h"

namespace proctor {
namespace {

using Json = nlohmann::json;
using Cutting = VisionFacts::Cutting;
using Files = ImageProcessorFiles;

/// How many features a CLIP or SigLIP tower gives beside one for each patch. CLIP has a class token; the strategy
/// "default" leaves the first feature out.
std::int64_t read_extra_features(Files& files, const std::string& usual_strategy, VisionFacts& facts) {
  const bool is_clip = files.vision.get<std::string>("model_type", "clip_vision_model") == "clip_vision_model";
  const bool is_whole = files.vision.keys().empty();  // then config.json's class has a tower as its default
  facts.patch = read_square(files.vision, "patch_size", is_whole ? 14 : is_clip ? 32 : 16);
  const std::string strategy = files.model.get("vision_feature_select_strategy", usual_strategy);
  if (strategy != "default" && strategy != "full")
    files.model.refuse("vision_feature_select_strategy", "is " + strategy + ", neither default nor full");
  files.processor.require("vision_feature_select_strategy", strategy, "differs from config.json's");
  return (is_clip ? 1 : 0) - (strategy == "default" ? 1 : 0);
}

/// Tiles' features are laid out as a square: none may be missing, and none be too many.
void read_square_of_features(Files& files, const std::string& usual_strategy, VisionFacts& facts) {
  if (read_extra_features(files, usual_strategy, facts) != 0)
    files.model.refuse("vision_feature_select_strategy", "leaves tiles whose features are no square");
  facts.tile_tokens = facts.side / facts.patch;
}

void read_crop(ConfigReader& pixels, VisionFacts& facts) {
  pixels.require("do_center_crop", true, "is not true");
  facts.crop_height = read_member(pixels, "crop_size", "height", 224);
  facts.crop_width = read_member(pixels, "crop_size", "width", facts.crop_height);
  require_side(pixels, "crop_size", std::min(facts.crop_height, facts.crop_width));
  if (std::max(facts.crop_height, facts.crop_width) > facts.side)
    pixels.refuse("crop_size", "is more than the shorter side's " + std::to_string(facts.side));
  const Json* size = pixels.find("size");
  if (size && size->is_object() && !size->contains("shortest_edge")) pixels.refuse("size", "has no shortest_edge");
}

void read_llava_texts(Files& files, VisionFacts& facts) {
  const std::string usual = files.processor.get<std::string>("image_token", "<image>");
  facts.placeholder = facts.token = files.token("image_token", usual);
}

void read_pinpoints(ConfigReader& pixels, ConfigReader& model, VisionFacts& facts) {
  const Json* given = pixels.find("image_grid_pinpoints");
  const Json* of_model = model.find("image_grid_pinpoints");
  if (given && given->is_array()) {
    for (const Json& one : *given) {
      if (!one.is_array() || one.size() != 2) pixels.refuse("image_grid_pinpoints", "has " + one.dump());
      facts.pinpoints.emplace_back(whole_number(pixels, "image_grid_pinpoints", one[0]),
                                   whole_number(pixels, "image_grid_pinpoints", one[1]));
    }
    if (of_model && of_model->is_array() && *of_model != *given)
      pixels.refuse("image_grid_pinpoints", "differs from config.json's");
  }
  for (const auto& [height, width] : facts.pinpoints)
    if (height < 1 || width < 1 || height > 65536 || width > 65536 || height % facts.side || width % facts.side)
      pixels.refuse("image_grid_pinpoints", "has " + std::to_string(height) + " x " + std::to_string(width) +
                                                ", no multiple of a tile's " + std::to_string(facts.side));
  if (facts.pinpoints.empty()) pixels.refuse("image_grid_pinpoints", "is empty");
}

/// anyres_max_9: nine tiles' features at most.
std::int64_t read_most_tiles(Files& files) {
  const std::string ratio = files.model.get<std::string>("vision_aspect_ratio", "anyres_max_9");
  const std::string begin = "anyres_max_";
  const bool is_known = ratio.starts_with(begin) && ratio.size() > begin.size() && ratio.size() < begin.size() + 4 &&
                        ratio.find_first_not_of("0123456789", begin.size()) == ratio.npos && ratio.back() != '0';
  if (!is_known) files.model.refuse("vision_aspect_ratio", "is " + ratio + ", not anyres_max_ and a number");
  files.processor.require("vision_aspect_ratio", ratio, "differs from config.json's");
  return std::stoll(ratio.substr(begin.size()));
}

}  // namespace

void read_llava(Files& files, const std::string& name, ImageProcessor& processor) {
  VisionFacts& facts = processor.facts;
  ConfigReader& pixels = files.pixels;
  read_llava_texts(files, facts);
  facts.side = read_side(pixels, "size", 224);
  facts.crop_height = facts.crop_width = facts.side;
  facts.cutting = name == "SiglipImageProcessor" ? Cutting::square : Cutting::crop;
  if (facts.cutting == Cutting::crop) read_crop(pixels, facts);
  pixels.require("do_pad", false, "is not followed");
  const std::int64_t extra = read_extra_features(files, "default", facts);
  facts.tile_tokens = (facts.crop_height / facts.patch) * (facts.crop_width / facts.patch) + extra;
  files.require_same("patch_size", facts.patch);
  files.processor.find("num_additional_image_tokens");
}

void read_llava_next(Files& files, const std::string&, ImageProcessor& processor) {
  VisionFacts& facts = processor.facts;
  facts.cutting = Cutting::pinpoints;
  read_llava_texts(files, facts);
  facts.side = read_side(files.pixels, "size", 224);
  facts.crop_height = facts.crop_width = read_side(files.pixels, "crop_size", 224);
  if (facts.crop_height != facts.side) files.pixels.refuse("crop_size", "is not the side of a tile");
  files.pixels.find("do_pad");  // of tiles that other images of a batch have more of
  files.pixels.require("do_center_crop", true, "is not true");
  files.pixels.require("aspect_ratio_setting", "anyres", "is not followed");
  if (!files.pixels.find("image_grid_pinpoints"))
    facts.pinpoints = {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
  read_pinpoints(files.pixels, files.model, facts);
  read_square_of_features(files, "default", facts);
  files.require_same("patch_size", facts.patch);
  files.processor.find("num_additional_image_tokens");
}

void read_llava_onevision(Files& files, const std::string&, ImageProcessor& processor) {
  VisionFacts& facts = processor.facts;
  facts.cutting = Cutting::pinpoints_pooled;
  read_llava_texts(files, facts);
  facts.side = facts.crop_height = facts.crop_width = read_side(files.pixels, "size", 384);
  files.pixels.find("do_pad");
  files.pixels.require("do_center_crop", false, "is not followed");
  files.pixels.require("crop_size", Json(), "is not followed");
  if (!files.pixels.find("image_grid_pinpoints"))
    for (std::int64_t rows = 1; rows <= 6; ++rows)
      for (std::int64_t columns = 1; columns <= 6; ++columns) facts.pinpoints.emplace_back(384 * rows, 384 * columns);
  read_pinpoints(files.pixels, files.model, facts);
  if (files.vision.keys().empty()) files.vision = {Json{{"model_type", "siglip_vision_model"}, {"patch_size", 14}}, ""};
  read_square_of_features(files, "full", facts);
  facts.most_tiles = read_most_tiles(files);
  files.require_same("num_image_tokens", facts.tile_tokens * facts.tile_tokens);
}

}  // namespace proctor
