#include "worker/checkpoint/image_processor.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Cutting = VisionFacts::Cutting;

json read(const fs::path& path) { return json::parse(std::ifstream(path)); }

/// A copy of a golden family's folder, removed with it.
class Folder {
 public:
  explicit Folder(const std::string& family)
      : path_(fs::temp_directory_path() / ("image_processor_test_" + std::to_string(getpid()))) {
    fs::remove_all(path_);
    fs::copy(fs::path(PROCTOR_SOURCE) / "tests/data/goldens/vision" / family, path_);
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  Folder& set(const std::string& file, const json& patch) {
    json content = fs::exists(path_ / file) ? read(path_ / file) : json::object();
    content.merge_patch(patch);
    std::ofstream(path_ / file) << content;
    return *this;
  }
  Folder& remove(const std::string& file) {
    fs::remove(path_ / file);
    return *this;
  }
  json content(const std::string& file) const { return ::proctor::read(path_ / file); }
  ImageProcessor processor(const std::string& choice = "auto") const {
    return *read_image_processor(path_.string(), content("config.json"), *processor_choice_from(choice));
  }
  /// What refuses it, without the folder.
  std::string refusal(const std::string& choice = "auto") const {
    try {
      processor(choice);
    } catch (const InputError& error) {
      return std::string(error.what()).substr(path_.string().size() + 1);
    }
    return "";
  }

 private:
  fs::path path_;
};

constexpr const char* kPixels = "preprocessor_config.json";

TEST(ReadImageProcessor, gives_nothing_for_a_model_of_texts) {
  EXPECT_EQ(read_image_processor("/nowhere", {{"architectures", {"LlamaForCausalLM"}}}, ProcessorChoice::automatic),
            std::nullopt);
  EXPECT_EQ(read_image_processor("/nowhere", json::object(), ProcessorChoice::automatic), std::nullopt);
}

TEST(ReadImageProcessor, knows_every_familys_cutting_and_texts) {
  for (const auto& [family, cutting, placeholder, token] :
       {std::tuple("qwen2_vl", Cutting::grid, "<|image_pad|>", "<|image_pad|>"),
        {"qwen2_5_vl", Cutting::grid, "<|image_pad|>", "<|image_pad|>"},
        {"qwen3_vl", Cutting::grid, "<|image_pad|>", "<|image_pad|>"},
        {"llava", Cutting::crop, "<image>", "<image>"},
        {"llava_next", Cutting::pinpoints, "<image>", "<image>"},
        {"llava_onevision", Cutting::pinpoints_pooled, "<image>", "<image>"},
        {"smolvlm", Cutting::splits, "<image>", "<image>"},
        {"internvl", Cutting::ratio, "<IMG_CONTEXT>", "<IMG_CONTEXT>"},
        {"gemma3", Cutting::square, "<start_of_image>", "<image_soft_token>"}}) {
    const VisionFacts facts = Folder(family).processor().facts;
    EXPECT_EQ(facts.cutting, cutting) << family;
    EXPECT_EQ(facts.placeholder, placeholder) << family;
    EXPECT_EQ(facts.token, token) << family;
    EXPECT_EQ(facts.before, cutting == Cutting::grid ? "<|vision_start|>" : "") << family;
    EXPECT_GT(facts.token_id, 255) << family;
  }
}

TEST(ReadImageProcessor, takes_the_fast_class_where_AutoProcessor_does) {
  EXPECT_TRUE(Folder("qwen2_vl").processor("auto").fast);
  EXPECT_FALSE(Folder("qwen2_vl").processor("slow").fast);
  EXPECT_FALSE(Folder("llava").processor("auto").fast);
  EXPECT_TRUE(Folder("llava").processor("fast").fast);
  EXPECT_TRUE(
      Folder("llava").set(kPixels, {{"image_processor_type", "CLIPImageProcessorFast"}}).processor("auto").fast);
}

TEST(ReadImageProcessor, resizes_as_the_chosen_class_does) {
  Folder smolvlm("smolvlm");
  EXPECT_EQ(smolvlm.processor("slow").resample, Resample::lanczos);
  EXPECT_EQ(smolvlm.processor("slow").resizing, Resizing::pillow);
  EXPECT_EQ(smolvlm.processor("fast").resample, Resample::bicubic);
  EXPECT_EQ(smolvlm.processor("fast").resizing, Resizing::aten_floats);
  Folder llava("llava");
  EXPECT_EQ(llava.processor("fast").resizing, Resizing::aten_bytes);
  llava.set(kPixels, {{"resample", 1}});
  EXPECT_EQ(llava.processor("slow").resample, Resample::lanczos);
  EXPECT_EQ(llava.refusal("fast"),
            "preprocessor_config.json: \"resample\" is 1, which the fast processor has not; choose the slow one");
  EXPECT_EQ(llava.set(kPixels, {{"resample", 5}}).refusal(),
            "preprocessor_config.json: \"resample\" is 5; 0 (nearest) to 4 (box) are known");
}

TEST(ReadImageProcessor, completes_a_file_by_its_class) {
  Folder folder("gemma3");
  folder.set(kPixels,
             {{"image_mean", nullptr}, {"image_std", nullptr}, {"resample", nullptr}, {"rescale_factor", nullptr}});
  const ImageProcessor processor = folder.processor();
  EXPECT_EQ(processor.mean, (std::array{0.5, 0.5, 0.5}));
  EXPECT_EQ(processor.resample, Resample::bilinear);
  EXPECT_EQ(processor.rescale_factor, 1.0 / 255);
}

TEST(ReadImageProcessor, reads_what_transformers_5_writes) {
  Folder folder("llava");
  const json pixels = folder.content(kPixels);
  const ImageProcessor before = folder.processor();
  const ImageProcessor after =
      folder.remove(kPixels).set("processor_config.json", {{"image_processor", pixels}}).processor();
  EXPECT_EQ(after.facts, before.facts);
  EXPECT_EQ(after.mean, before.mean);
  EXPECT_NE(folder.set("processor_config.json", {{"image_processor", nullptr}}).refusal().find("is missing"),
            std::string::npos);
}

TEST(ReadImageProcessor, reads_Qwens_pixel_bounds_as_each_class_does) {
  Folder folder("qwen2_vl");
  folder.set(kPixels, {{"min_pixels", nullptr}, {"max_pixels", nullptr}});
  EXPECT_EQ(folder.processor("fast").facts.max_pixels, 5184);
  EXPECT_EQ(folder.processor("slow").facts.max_pixels, 28 * 28 * 1280);
  folder.set(kPixels, {{"max_pixels", 9000}});
  EXPECT_EQ(folder.processor("slow").facts.max_pixels, 9000);
  EXPECT_EQ(folder.processor("fast").facts.min_pixels, 256);
}

TEST(ReadImageProcessor, counts_a_tiles_tokens_by_its_tower) {
  Folder llava("llava");
  EXPECT_EQ(llava.processor().facts.tile_tokens, 16);
  llava.set("config.json", {{"vision_feature_select_strategy", "full"}});
  llava.set("processor_config.json", {{"vision_feature_select_strategy", "full"}});
  EXPECT_EQ(llava.processor().facts.tile_tokens, 17);
  EXPECT_EQ(Folder("llava_onevision").processor().facts.tile_tokens, 4);  // a side
  EXPECT_EQ(Folder("smolvlm").processor().facts.tile_tokens, 4);
  EXPECT_EQ(Folder("internvl").processor().facts.tile_tokens, 4);
  EXPECT_EQ(Folder("gemma3").processor().facts.tile_tokens, 16);
}

TEST(ReadImageProcessor, reads_SigLIPs_processor_of_a_LLaVA) {
  Folder folder("llava");
  folder.set(kPixels, {{"image_processor_type", "SiglipImageProcessor"},
                       {"size", {{"shortest_edge", nullptr}, {"height", 32}, {"width", 32}}},
                       {"crop_size", nullptr},
                       {"do_center_crop", nullptr}});
  folder.set("config.json",
             {{"vision_config", {{"model_type", "siglip_vision_model"}}}, {"vision_feature_select_strategy", "full"}});
  folder.set("processor_config.json", {{"vision_feature_select_strategy", "full"}, {"num_additional_image_tokens", 0}});
  const VisionFacts facts = folder.processor().facts;
  EXPECT_EQ(facts.cutting, Cutting::square);
  EXPECT_EQ(facts.tile_tokens, 16);
}

TEST(ReadImageProcessor, takes_texts_from_the_tokenizer) {
  Folder folder("gemma3");
  folder.set("tokenizer_config.json", {{"boi_token", "<boi>"}, {"image_token", {{"content", "<soft>"}}}});
  EXPECT_EQ(folder.processor().facts.opening, "\n\n<boi>");
  EXPECT_EQ(folder.processor().facts.token, "<soft>");
  EXPECT_EQ(folder.remove("tokenizer_config.json").processor().facts.token, "<image_soft_token>");
}

TEST(ReadImageProcessor, refuses_keys_and_values_that_it_does_not_follow) {
  const auto refusal = [](const char* family, const char* file, const json& patch) {
    return Folder(family).set(file, patch).refusal();
  };
  EXPECT_NE(refusal("llava", kPixels, {{"do_sharpen", true}}).find("\"do_sharpen\" is a key"), std::string::npos);
  EXPECT_NE(refusal("llava", kPixels, {{"do_resize", false}}).find("\"do_resize\""), std::string::npos);
  EXPECT_NE(refusal("llava", kPixels, {{"do_center_crop", false}}).find("\"do_center_crop\""), std::string::npos);
  EXPECT_NE(refusal("llava", kPixels, {{"do_pad", true}}).find("\"do_pad\""), std::string::npos);
  EXPECT_NE(refusal("llava", kPixels, {{"crop_size", {{"height", 40}}}}).find("\"crop_size\""), std::string::npos);
  EXPECT_NE(refusal("llava", kPixels, {{"image_std", {1, 0, 1}}}).find("\"image_std\""), std::string::npos);
  EXPECT_NE(refusal("llava", kPixels, {{"image_processor_type", "ViTImageProcessor"}}).find("ViTImageProcessor"),
            std::string::npos);
  EXPECT_NE(refusal("qwen2_vl", kPixels, {{"patch_size", 5}}).find("\"patch_size\" is 5"), std::string::npos);
  EXPECT_NE(refusal("qwen2_vl", kPixels, {{"max_pixels", 3}}).find("\"max_pixels\""), std::string::npos);
  EXPECT_NE(refusal("llava_next", kPixels, {{"image_grid_pinpoints", {{32, 40}}}}).find("\"image_grid_pinpoints\""),
            std::string::npos);
  EXPECT_NE(refusal("llava_onevision", "config.json", {{"vision_aspect_ratio", "pad"}}).find("\"vision_aspect_ratio\""),
            std::string::npos);
  EXPECT_NE(refusal("smolvlm", kPixels, {{"max_image_size", {{"longest_edge", 64}}}}).find("\"max_image_size\""),
            std::string::npos);
  EXPECT_NE(refusal("internvl", "processor_config.json", {{"image_seq_length", 9}}).find("\"image_seq_length\" is 9"),
            std::string::npos);
  EXPECT_NE(refusal("gemma3", "processor_config.json", {{"novel", 1}}).find("processor_config.json: \"novel\""),
            std::string::npos);
}

}  // namespace
}  // namespace proctor
