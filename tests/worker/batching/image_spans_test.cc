// Ids and places of images in rows: places against transformers' get_rope_index (tests/data/goldens/vision).
#include "worker/batching/image_spans.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

TEST(ImageSpans, each_image_has_ids_of_its_own_past_the_vocabulary) {
  ImageSpans spans(320);
  EXPECT_TRUE(spans.empty());
  EXPECT_EQ(spans.find(320), nullptr);
  EXPECT_EQ(spans.add(6, 2, 3).first, 320);
  EXPECT_EQ(spans.add(1, 1, 1).first, 326);
  EXPECT_EQ(spans.find(319), nullptr);
  EXPECT_EQ(spans.find(325)->tokens, 6);
  EXPECT_EQ(spans.find(326)->tokens, 1);
  EXPECT_EQ(spans.find(327), nullptr);
}

TEST(ImageSpans, more_features_than_ids_are_refused) {
  ImageSpans spans(320);
  EXPECT_THROW(spans.add(std::int64_t{1} << 32, 1, 1), InputError);
}

TEST(ImageSpans, a_text_counts_on_and_an_image_is_laid_out_by_row_and_column) {
  ImageSpans spans(10);
  spans.add(6, 2, 3);
  PlaceCounter counter(spans);
  EXPECT_EQ(counter.next(4), (Place{0, 0, 0}));
  const std::vector<Place> image = {{1, 1, 1}, {1, 1, 2}, {1, 1, 3}, {1, 2, 1}, {1, 2, 2}, {1, 2, 3}};
  for (TokenId id = 10; id < 16; ++id) EXPECT_EQ(counter.next(id), image[static_cast<std::size_t>(id - 10)]);
  EXPECT_EQ(counter.next(4), (Place{4, 4, 4})) << "behind the longer side";
  EXPECT_EQ(counter.count(), 5);
}

/// The case's images, each an image of its own, and its ids with theirs.
std::pair<ImageSpans, Tokens> spans_of(const Json& one, std::int64_t merge, TokenId placeholder) {
  ImageSpans spans(320);
  Tokens numbers;
  for (const Json& grid : one.value("image_grid_thw", Json::array())) {
    const std::int64_t rows = grid[1].get<std::int64_t>() / merge, columns = grid[2].get<std::int64_t>() / merge;
    const ImageSpan span = spans.add(rows * columns, rows, columns);
    for (std::int64_t i = 0; i < span.tokens; ++i) numbers.push_back(span.first + static_cast<TokenId>(i));
  }
  Tokens ids = one["input_ids"].get<Tokens>();
  std::size_t next = 0;
  for (TokenId& id : ids)
    if (id == placeholder) id = numbers.at(next++);
  return {spans, ids};
}

TEST(ImageSpans, places_are_transformers) {
  std::size_t compared = 0;
  for (const std::string family : {"qwen2_vl", "qwen2_5_vl", "qwen3_vl"}) {
    std::ifstream file(std::string(PROCTOR_SOURCE "/tests/data/goldens/vision/") + family + ".json");
    std::ifstream config_file(std::string(PROCTOR_SOURCE "/tests/data/goldens/vision/") + family + "/config.json");
    const Json config = Json::parse(config_file), golden = Json::parse(file);
    for (const Json& one : golden["cases"]) {
      if (!one.contains("position_ids")) continue;
      const auto [spans, ids] =
          spans_of(one, config["vision_config"]["spatial_merge_size"], config["image_token_id"].get<TokenId>());
      PlaceCounter counter(spans);
      for (std::size_t i = 0; i < ids.size(); ++i) {
        const Place place = counter.next(ids[i]);
        for (std::size_t axis = 0; axis < 3; ++axis)
          ASSERT_EQ(place[axis], one["position_ids"][axis][i].get<std::int32_t>()) << family << ", token " << i;
      }
      EXPECT_EQ(count_behind(ids, spans) - static_cast<std::int32_t>(ids.size()),
                one["rope_delta"].get<std::int32_t>());
      ++compared;
    }
  }
  EXPECT_GT(compared, 8u);
}

}  // namespace
}  // namespace proctor
