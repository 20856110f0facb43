#include "worker/images/processor.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sharding/protocol/error.h"
#include "tests/worker/images/vision_goldens.h"
#include "worker/images/decode.h"
#include "worker/images/value_table.h"

namespace proctor {
namespace {

using nlohmann::json;

ImageProcessor processor_of(const std::string& family, const std::string& choice) {
  return *read_image_processor(vision_path(family), vision_json(family + "/config.json"),
                               *processor_choice_from(choice));
}

std::vector<ImageInput> inputs_of(const ImageProcessor& processor, const json& golden) {
  std::vector<ImageInput> inputs;
  for (const std::string name : golden.at("images"))
    inputs.push_back(make_input(processor, decode_image(vision_file("images/" + name), false)));
  return inputs;
}

/// As one tensor. transformers gives LLaVA-NeXT and OneVision each image as many tiles as the largest has, of zeros.
std::vector<float> joined(const std::vector<ImageInput>& inputs, bool pads) {
  std::size_t most = 0;
  for (const ImageInput& input : inputs) most = std::max(most, input.values.size());
  std::vector<float> all;
  for (const ImageInput& input : inputs) {
    all.insert(all.end(), input.values.begin(), input.values.end());
    if (pads) all.resize(all.size() + most - input.values.size());
  }
  return all;
}

std::string expanded(std::string text, const VisionFacts& facts, const std::vector<ImageInput>& inputs) {
  std::size_t at = 0;
  for (const ImageInput& input : inputs) {
    at = text.find(facts.placeholder, at);
    const std::string image = text_of_image(facts, input.layout);
    text.replace(at, facts.placeholder.size(), image);
    at += image.size();
  }
  return text;
}

std::int64_t count(const std::string& text, const std::string& token) {
  std::int64_t found = 0;
  for (std::size_t at = text.find(token); at != text.npos; at = text.find(token, at + token.size())) ++found;
  return found;
}

template <class Check>
void for_each_case(const Check& check) {
  int checked = 0;
  const json goldens = vision_json("families.json");
  for (const auto& [family, cases] : goldens.items())
    for (const json& golden : cases) {
      const ImageProcessor processor = processor_of(family, golden.at("fast") ? "fast" : "slow");
      SCOPED_TRACE(family + (golden.at("fast") ? " fast " : " slow ") + golden.at("images").dump());
      check(processor, golden, inputs_of(processor, golden));
      ++checked;
    }
  EXPECT_EQ(checked, 40);
}

TEST(MakeInput, gives_every_familys_pixel_values_slow_and_fast) {
  for_each_case([](const ImageProcessor& processor, const json& golden, const std::vector<ImageInput>& inputs) {
    const auto cutting = processor.facts.cutting;
    const bool pads = cutting == VisionFacts::Cutting::pinpoints || cutting == VisionFacts::Cutting::pinpoints_pooled;
    const std::vector<float> values = joined(inputs, pads);
    std::size_t expected = 1;
    for (const std::size_t size : golden.at("shape")) expected *= size;
    EXPECT_EQ(values.size(), expected);
    EXPECT_EQ(sha256_of(values), golden.at("sha256"));
  });
}

TEST(MakeInput, expands_every_familys_prompts) {
  for_each_case([](const ImageProcessor& processor, const json& golden, const std::vector<ImageInput>& inputs) {
    const std::string text = expanded(golden.at("prompt"), processor.facts, inputs);
    EXPECT_EQ(text, golden.at("text"));
    std::int64_t tokens = 0;
    for (const ImageInput& input : inputs) tokens += input.layout.tokens;
    EXPECT_EQ(count(text, processor.facts.token), tokens);
  });
}

TEST(MakeInput, lays_out_the_grids_of_the_goldens) {
  for_each_case([](const ImageProcessor&, const json& golden, const std::vector<ImageInput>& inputs) {
    for (std::size_t i = 0; i < golden.at("grids").size(); ++i)
      EXPECT_EQ((json{1, inputs[i].layout.grid_height, inputs[i].layout.grid_width}), golden.at("grids")[i]);
  });
}

TEST(MakeInput, chooses_slow_or_fast_as_AutoProcessor_does) {
  const json goldens = vision_json("families.json");
  for (const auto& [family, cases] : goldens.items())
    for (const json& golden : cases)
      EXPECT_EQ(processor_of(family, "auto").fast == golden.at("fast"), golden.at("is_auto")) << family;
}

TEST(MakeInput, reserves_what_it_fills) {
  for (const char* family : {"llava", "qwen2_vl", "llava_next", "llava_onevision", "smolvlm", "internvl", "gemma3"}) {
    const ImageInput input = make_input(processor_of(family, "fast"), Picture(50, 90));
    EXPECT_EQ(input.values.size(), input.values.capacity()) << family;
  }
}

TEST(MakeInput, follows_other_pixel_bounds) {
  ImageProcessor processor = processor_of("qwen2_vl", "fast");
  processor.facts.min_pixels = processor.facts.max_pixels = 64 * 8 * 8;
  const ImageInput input = make_input(processor, Picture(300, 300));
  EXPECT_EQ(input.layout.resized_height, 64);
  EXPECT_EQ(input.layout.tokens, 64);
  EXPECT_EQ(input.values.size(), std::size_t{3 * 2 * 64 * 64});
}

TEST(MakeInput, refuses_a_picture_whose_sides_are_too_far_apart) {
  EXPECT_THROW(make_input(processor_of("qwen2_vl", "fast"), Picture(1, 201)), InputError);
  EXPECT_NO_THROW(make_input(processor_of("qwen2_vl", "fast"), Picture(1, 200)));
}

TEST(ValueTable, leaves_out_the_steps_that_are_switched_off) {
  ImageProcessor processor;
  processor.rescale_factor = 0.5, processor.mean = {1, 2, 4}, processor.deviation = {2, 4, 8};
  for (const bool fast : {false, true}) {
    processor.fast = fast, processor.rescales = processor.normalizes = true;
    EXPECT_EQ(make_value_table(processor)[2][100], (50.0F - 4) / 8);
    processor.rescales = false;
    EXPECT_EQ(make_value_table(processor)[2][100], 12);
    processor.rescales = true, processor.normalizes = false;
    EXPECT_EQ(make_value_table(processor)[2][100], 50);
  }
}

}  // namespace
}  // namespace proctor
