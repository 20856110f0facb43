// The table of families and the image processors of all but LLaVA's, by what transformers 4.57.1 has in
// image_processing_*.py, processing_*.py and configuration_*.py of each.
#include <algorithm>
#include <cmath>

#include "worker/checkpoint/image_processor_fields.h"
#include "worker/checkpoint/image_processor_files.h"

namespace proctor {
namespace {

using Json = nlohmann::json;
using Cutting = VisionFacts::Cutting;
using Files = ImageProcessorFiles;

constexpr std::int64_t kMostPixels = 178956970;  // of an image that is read
constexpr std::array<double, 3> kClipMean = {0.48145466, 0.4578275, 0.40821073};
constexpr std::array<double, 3> kClipDeviation = {0.26862954, 0.26130258, 0.27577711};
constexpr std::array<double, 3> kHalf = {0.5, 0.5, 0.5};

/// Qwen2-VL, Qwen2.5-VL, Qwen3-VL. The slow class passes over `size`.
void read_grid(Files& files, const std::string&, ImageProcessor& processor) {
  VisionFacts& facts = processor.facts;
  facts.cutting = Cutting::grid;
  facts.placeholder = facts.token = files.token("image_token", "<|image_pad|>");
  facts.before = files.token("vision_start_token", "<|vision_start|>");
  facts.after = files.token("vision_end_token", "<|vision_end|>");
  ConfigReader& pixels = files.pixels;
  const std::int64_t least = 56 * 56, most = 28 * 28 * 1280;
  const std::int64_t size_least = read_member(pixels, "size", "shortest_edge", least);
  const std::int64_t size_most = read_member(pixels, "size", "longest_edge", most);
  facts.min_pixels = pixels.get("min_pixels", processor.fast ? size_least : least);
  facts.max_pixels = pixels.get("max_pixels", processor.fast ? size_most : most);
  facts.patch = pixels.get<std::int64_t>("patch_size", 14);
  facts.merge = pixels.get<std::int64_t>("merge_size", 2);
  processor.frames = pixels.get<std::int64_t>("temporal_patch_size", 2);
  pixels.require_sizes({{"patch_size", facts.patch}, {"merge_size", facts.merge}});
  if (facts.min_pixels < 0 || facts.min_pixels > kMostPixels) pixels.refuse("min_pixels", "is out of range");
  if (facts.max_pixels < 1 || facts.max_pixels < facts.min_pixels) pixels.refuse("max_pixels", "is out of range");
  for (const auto& [key, own, value] : {std::tuple{"patch_size", "patch_size", facts.patch},
                                        {"spatial_merge_size", "merge_size", facts.merge},
                                        {"temporal_patch_size", "temporal_patch_size", processor.frames}}) {
    const std::int64_t of_tower = files.vision.get(key, value);
    if (of_tower != value)
      pixels.refuse(own, "is " + std::to_string(value) + ", where the vision tower has " + std::to_string(of_tower));
  }
  pixels.require("do_center_crop", false, "is not followed");
  pixels.require("crop_size", Json(), "is not followed");
}

/// Idefics 3 and SmolVLM.
void read_splits(Files& files, const std::string&, ImageProcessor& processor) {
  VisionFacts& facts = processor.facts;
  facts.cutting = Cutting::splits;
  facts.placeholder = facts.token = files.token("image_token", "<image>");
  facts.opening = facts.closing = files.token("fake_image_token", "<fake_token_around_image>");
  files.pixels.find("do_pad");
  facts.longest = read_member(files.pixels, "size", "longest_edge", 4 * 364);
  facts.side = read_member(files.pixels, "max_image_size", "longest_edge", 364);
  require_side(files.pixels, "size", facts.longest);
  require_side(files.pixels, "max_image_size", facts.side);
  facts.crop_height = facts.crop_width = facts.side;
  facts.cuts = files.pixels.get("do_image_splitting", true);
  facts.patch = read_square(files.vision, "patch_size", 32);
  facts.merge = files.model.get<std::int64_t>("scale_factor", 2);
  files.model.require_sizes({{"scale_factor", facts.merge}});
  const std::int64_t of_tower = read_square(files.vision, "image_size", 224);
  if (of_tower != facts.side)
    files.pixels.refuse("max_image_size", "is " + std::to_string(facts.side) + ", where the vision tower has " +
                                              std::to_string(of_tower));
  const std::int64_t along = facts.side / facts.patch;
  facts.tile_tokens = along * along / (facts.merge * facts.merge);
  files.require_same("image_seq_len", facts.tile_tokens);
}

/// InternVL. Its processor always cuts, whatever crop_to_patches says; its slow one by bicubic weights, whatever
/// resample does.
void read_ratio(Files& files, const std::string&, ImageProcessor& processor) {
  VisionFacts& facts = processor.facts;
  facts.cutting = Cutting::ratio;
  if (!processor.fast) processor.resample = Resample::bicubic;
  facts.placeholder = facts.token = files.token("context_image_token", "<IMG_CONTEXT>");
  facts.opening = files.token("start_image_token", "<img>");
  facts.closing = files.token("end_image_token", "</img>");
  facts.side = facts.crop_height = facts.crop_width = read_side(files.pixels, "size", 384);
  facts.min_tiles = files.pixels.get<std::int64_t>("min_patches", 1);
  facts.max_tiles = files.pixels.get<std::int64_t>("max_patches", 12);
  if (facts.min_tiles < 1 || facts.max_tiles < facts.min_tiles || facts.max_tiles > 1024)
    files.pixels.refuse("max_patches",
                        "is " + std::to_string(facts.max_tiles) + ", min_patches " + std::to_string(facts.min_tiles));
  files.pixels.find("crop_to_patches");
  files.pixels.require("do_center_crop", false, "is not followed");
  files.pixels.require("crop_size", Json(), "is not followed");
  facts.patch = read_square(files.vision, "patch_size", 14);
  const double ratio = files.model.positive("downsample_ratio", 0.5, 1.0 + 1e-9);
  facts.merge = std::llround(1 / ratio);
  const std::int64_t along = facts.side / facts.patch / facts.merge;
  facts.tile_tokens = along * along;
  if (files.model.get<std::int64_t>("image_seq_length", 256) != facts.tile_tokens)
    files.model.refuse("image_seq_length", "is not the " + std::to_string(facts.tile_tokens) + " that a tile gives");
  files.require_same("image_seq_length", facts.tile_tokens);
}

/// Gemma 3. Its processor never pans and scans, whatever the file says.
void read_gemma3(Files& files, const std::string&, ImageProcessor& processor) {
  VisionFacts& facts = processor.facts;
  facts.cutting = Cutting::square;
  facts.placeholder = files.token("boi_token", "<start_of_image>");
  facts.token = files.token("image_token", "<image_soft_token>");
  facts.opening = "\n\n" + facts.placeholder;
  facts.closing = files.token("eoi_token", "<end_of_image>") + "\n\n";
  facts.side = facts.crop_height = facts.crop_width = read_side(files.pixels, "size", 224);
  for (const char* key : {"do_pan_and_scan", "pan_and_scan_min_crop_size", "pan_and_scan_max_num_crops",
                          "pan_and_scan_min_ratio_to_activate"})
    files.pixels.find(key);
  files.pixels.require("do_center_crop", false, "is not followed");
  files.pixels.require("crop_size", Json(), "is not followed");
  facts.patch = read_square(files.vision, "patch_size", 16);
  facts.tile_tokens = files.model.get<std::int64_t>("mm_tokens_per_image", 256);
  files.model.require_sizes({{"mm_tokens_per_image", facts.tile_tokens}});
  const auto along = static_cast<std::int64_t>(std::sqrt(static_cast<double>(facts.tile_tokens)));
  facts.merge = std::max<std::int64_t>(facts.side / facts.patch / along, 1);
  files.pixels.require("image_seq_length", facts.tile_tokens, "differs from config.json's mm_tokens_per_image");
  files.require_same("image_seq_length", facts.tile_tokens);
}

}  // namespace

const std::vector<ImageProcessorClass>& image_processor_classes() {
  static const std::vector<ImageProcessorClass> classes = {
      {"Qwen2VLImageProcessor", Resample::bicubic, kClipMean, kClipDeviation, true, false},
      {"CLIPImageProcessor", Resample::bicubic, kClipMean, kClipDeviation, false, false},
      {"LlavaImageProcessor", Resample::bicubic, kClipMean, kClipDeviation, false, false},
      {"SiglipImageProcessor", Resample::bicubic, kHalf, kHalf, false, false},
      {"LlavaNextImageProcessor", Resample::bicubic, kClipMean, kClipDeviation, false, false},
      {"LlavaOnevisionImageProcessor", Resample::bicubic, kClipMean, kClipDeviation, false, false},
      {"SmolVLMImageProcessor", Resample::lanczos, kHalf, kHalf, false, true},
      {"Idefics3ImageProcessor", Resample::lanczos, kHalf, kHalf, false, true},
      {"GotOcr2ImageProcessor", Resample::bicubic, kClipMean, kClipDeviation, false, false},
      {"Gemma3ImageProcessor", Resample::bilinear, kHalf, kHalf, false, false}};
  return classes;
}

const std::vector<ImageFamily>& image_families() {
  static const std::vector<ImageFamily> families = {
      {"Qwen2VLForConditionalGeneration", "qwen2_vl", {"Qwen2VLImageProcessor"}, 151655, read_grid},
      {"Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl", {"Qwen2VLImageProcessor"}, 151655, read_grid},
      {"Qwen3VLForConditionalGeneration", "qwen3_vl", {"Qwen2VLImageProcessor"}, 151655, read_grid},
      {"LlavaForConditionalGeneration",
       "llava",
       {"CLIPImageProcessor", "LlavaImageProcessor", "SiglipImageProcessor"},
       32000,
       read_llava},
      {"LlavaNextForConditionalGeneration", "llava_next", {"LlavaNextImageProcessor"}, 32000, read_llava_next},
      {"LlavaOnevisionForConditionalGeneration",
       "llava_onevision",
       {"LlavaOnevisionImageProcessor"},
       151646,
       read_llava_onevision},
      {"SmolVLMForConditionalGeneration",
       "smolvlm",
       {"SmolVLMImageProcessor", "Idefics3ImageProcessor"},
       128257,
       read_splits},
      {"Idefics3ForConditionalGeneration",
       "idefics3",
       {"Idefics3ImageProcessor", "SmolVLMImageProcessor"},
       128257,
       read_splits},
      {"InternVLForConditionalGeneration", "internvl", {"GotOcr2ImageProcessor"}, 151667, read_ratio},
      {"Gemma3ForConditionalGeneration", "gemma3", {"Gemma3ImageProcessor"}, 262144, read_gemma3}};
  return families;
}

}  // namespace proctor
