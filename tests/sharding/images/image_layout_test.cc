#include "sharding/images/image_layout.h"

#include <gtest/gtest.h>

#include <array>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Cutting = VisionFacts::Cutting;

// As the published models have them.

VisionFacts qwen2_vl() {
  VisionFacts facts;
  facts.cutting = Cutting::grid;
  facts.placeholder = facts.token = "<|image_pad|>";
  facts.patch = 14, facts.merge = 2, facts.min_pixels = 3136, facts.max_pixels = 12845056;
  return facts;
}

VisionFacts llava() {
  VisionFacts facts;
  facts.cutting = Cutting::crop;
  facts.token = "<image>", facts.tile_tokens = 576;
  return facts;
}

VisionFacts llava_next() {
  VisionFacts facts;
  facts.cutting = Cutting::pinpoints;
  facts.tile_tokens = 24;
  facts.pinpoints = {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
  return facts;
}

VisionFacts llava_onevision() {
  VisionFacts facts;
  facts.cutting = Cutting::pinpoints_pooled;
  facts.side = 384, facts.tile_tokens = 27;
  for (std::int64_t rows = 1; rows <= 6; ++rows)
    for (std::int64_t columns = 1; columns <= 6; ++columns) facts.pinpoints.emplace_back(384 * rows, 384 * columns);
  return facts;
}

VisionFacts smolvlm() {
  VisionFacts facts;
  facts.cutting = Cutting::splits;
  facts.placeholder = facts.token = "<image>";
  facts.opening = facts.closing = "<fake_token_around_image>";
  facts.patch = 16, facts.side = 512, facts.longest = 2048, facts.tile_tokens = 64;
  return facts;
}

VisionFacts internvl() {
  VisionFacts facts;
  facts.cutting = Cutting::ratio;
  facts.opening = "<img>", facts.closing = "</img>", facts.token = "<IMG_CONTEXT>";
  facts.side = 448, facts.tile_tokens = 256;
  return facts;
}

VisionFacts gemma3() {
  VisionFacts facts;
  facts.cutting = Cutting::square;
  facts.placeholder = "<start_of_image>", facts.token = "<image_soft_token>";
  facts.opening = "\n\n<start_of_image>", facts.closing = "<end_of_image>\n\n";
  facts.side = 896, facts.tile_tokens = 256;
  return facts;
}

using Sides = std::array<std::int64_t, 2>;

Sides resized(const VisionFacts& facts, std::int64_t height, std::int64_t width) {
  const ImageLayout layout = layout_of(facts, height, width);
  return {layout.resized_height, layout.resized_width};
}

TEST(LayoutOf, a_grid_is_rounded_to_whole_tokens) {
  EXPECT_EQ(resized(qwen2_vl(), 1080, 1920), (Sides{1092, 1932}));
  EXPECT_EQ(resized(qwen2_vl(), 70, 98), (Sides{56, 112}));    // 2.5 and 3.5 tokens: half to even
  EXPECT_EQ(resized(qwen2_vl(), 1, 1), (Sides{56, 56}));       // fewer than min_pixels
  EXPECT_EQ(resized(qwen2_vl(), 10, 2000), (Sides{28, 812}));  // no whole token high: as too small
  EXPECT_EQ(layout_of(qwen2_vl(), 1080, 1920).tokens, 39 * 69);
  EXPECT_EQ(layout_of(qwen2_vl(), 1080, 1920).patches, 4 * 39 * 69);
}

TEST(LayoutOf, a_grid_stays_within_its_pixel_bounds) {
  VisionFacts facts = qwen2_vl();
  facts.max_pixels = 1003520;
  const ImageLayout layout = layout_of(facts, 3000, 4000);
  EXPECT_EQ((Sides{layout.resized_height, layout.resized_width}), (Sides{840, 1148}));
  facts.min_pixels = 602112;
  EXPECT_EQ(resized(facts, 100, 100), (Sides{784, 784}));
}

TEST(LayoutOf, a_grid_refuses_a_ratio_above_200) {
  EXPECT_NO_THROW(layout_of(qwen2_vl(), 20, 4000));
  EXPECT_THROW(layout_of(qwen2_vl(), 20, 4001), InputError);
  EXPECT_THROW(layout_of(qwen2_vl(), 4001, 20), InputError);
}

TEST(LayoutOf, a_crop_brings_the_shorter_side_down) {
  EXPECT_EQ(resized(llava(), 480, 640), (Sides{336, 448}));
  EXPECT_EQ(resized(llava(), 640, 480), (Sides{448, 336}));
  EXPECT_EQ(resized(llava(), 427, 640), (Sides{336, 503}));
  EXPECT_EQ(layout_of(llava(), 480, 640).tokens, 576);
}

TEST(LayoutOf, refuses_what_would_be_resized_to_too_many_pixels) {
  EXPECT_NO_THROW(layout_of(llava(), 1, 1000));
  EXPECT_THROW(layout_of(llava(), 1, 65500), InputError);
}

TEST(LayoutOf, pinpoints_waste_least) {
  const ImageLayout layout = layout_of(llava_next(), 480, 640);
  EXPECT_EQ((Sides{layout.canvas_height, layout.canvas_width}), (Sides{672, 672}));
  EXPECT_EQ((Sides{layout.resized_height, layout.resized_width}), (Sides{504, 672}));
  EXPECT_EQ((Sides{layout.kept_rows, layout.kept_columns}), (Sides{36, 48}));
  EXPECT_EQ(layout.tiles, 5);
  EXPECT_EQ(layout.tokens, 576 + 36 * 49);
  EXPECT_EQ(layout.patches, 5 * 576);
}

TEST(LayoutOf, pinpoints_take_the_smallest_for_an_image_of_which_no_pixel_would_be_left) {
  const ImageLayout layout = layout_of(llava_next(), 1, 1400);
  EXPECT_EQ((Sides{layout.canvas_height, layout.canvas_width}), (Sides{336, 672}));
  EXPECT_EQ((Sides{layout.resized_height, layout.resized_width}), (Sides{1, 672}));
}

TEST(LayoutOf, features_of_too_many_tiles_are_pooled) {
  const ImageLayout few = layout_of(llava_onevision(), 768, 768), many = layout_of(llava_onevision(), 2304, 2304);
  EXPECT_EQ((Sides{few.pooled_rows, few.pooled_columns}), (Sides{54, 54}));
  EXPECT_EQ(few.tokens, 729 + 54 * 55);
  EXPECT_EQ((Sides{many.kept_rows, many.kept_columns}), (Sides{162, 162}));
  EXPECT_EQ((Sides{many.pooled_rows, many.pooled_columns}), (Sides{81, 81}));
  EXPECT_EQ(many.tokens, 729 + 81 * 82);
}

TEST(LayoutOf, splits_fill_whole_tiles_and_add_the_whole_image) {
  const ImageLayout layout = layout_of(smolvlm(), 480, 640);
  EXPECT_EQ((Sides{layout.first_height, layout.first_width}), (Sides{1536, 2048}));
  EXPECT_EQ((Sides{layout.rows, layout.columns}), (Sides{3, 4}));
  EXPECT_EQ(layout.tiles, 13);
  EXPECT_EQ(layout.tokens, 13 * 64);
  EXPECT_TRUE(layout.whole);
}

TEST(LayoutOf, splits_of_one_tile_are_not_cut) {
  VisionFacts facts = smolvlm();
  facts.longest = 512;
  EXPECT_EQ(layout_of(facts, 480, 640).tiles, 1);
  facts.longest = 2048, facts.cuts = false;
  EXPECT_EQ(layout_of(facts, 480, 640).tiles, 1);
  EXPECT_EQ(resized(facts, 480, 640), (Sides{512, 512}));
}

TEST(LayoutOf, splits_are_never_longer_than_4096) {
  VisionFacts facts = smolvlm();
  facts.longest = 8192;
  const ImageLayout layout = layout_of(facts, 300, 600);
  EXPECT_EQ((Sides{layout.first_height, layout.first_width}), (Sides{2048, 4096}));
}

TEST(LayoutOf, tiles_have_the_nearest_ratio) {
  EXPECT_EQ(layout_of(internvl(), 480, 640).tiles, 13);  // 4 x 3
  const ImageLayout wide = layout_of(internvl(), 448, 896);
  EXPECT_EQ((Sides{wide.rows, wide.columns}), (Sides{1, 2}));
  const ImageLayout large = layout_of(internvl(), 2000, 2000), small = layout_of(internvl(), 300, 300);
  EXPECT_EQ(large.tiles, 10);  // 3 x 3, as near as 1 x 1
  EXPECT_EQ(small.tiles, 1);
  EXPECT_FALSE(small.whole);
}

TEST(LayoutOf, a_square_takes_any_shape) {
  const ImageLayout layout = layout_of(gemma3(), 3, 5000);
  EXPECT_EQ((Sides{layout.resized_height, layout.resized_width}), (Sides{896, 896}));
  EXPECT_EQ(layout.tokens, 256);
  EXPECT_EQ(layout.patches, 4096);
}

TEST(TextOfImage, repeats_the_token_between_what_opens_and_closes) {
  VisionFacts facts = gemma3();
  facts.tile_tokens = 2;
  EXPECT_EQ(text_of_image(facts, layout_of(facts, 5, 5)),
            "\n\n<start_of_image><image_soft_token><image_soft_token><end_of_image>\n\n");
}

TEST(TextOfImage, names_the_place_of_each_split) {
  VisionFacts facts = smolvlm();
  facts.tile_tokens = 1;
  const std::string fake = "<fake_token_around_image>", whole = fake + "<global-img><image>" + fake;
  EXPECT_EQ(text_of_image(facts, layout_of(facts, 512, 2048)),
            fake + "<row_1_col_1><image>" + fake + "<row_1_col_2><image>" + fake + "<row_1_col_3><image>" + fake +
                "<row_1_col_4><image>\n\n" + whole);
  facts.cuts = false;
  EXPECT_EQ(text_of_image(facts, layout_of(facts, 512, 2048)), whole);
}

}  // namespace
}  // namespace proctor
