// What is known of a model that reads images, before a tower sees one: how its processor cuts them, and what stands for
// them in a prompt. Read by the worker from preprocessor_config.json and config.json (checkpoint/image_processor);
// sharding/images does the arithmetic, for the planner and the worker alike.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace proctor {

struct VisionFacts {
  /// How an image becomes what a tower takes. Each family's processor has one of these.
  enum class Cutting {
    none,              ///< the model reads no images
    crop,              ///< shorter side to `side`, the middle cut out (LLaVA 1.5)
    grid,              ///< to multiples of patch x merge, within pixel bounds (Qwen2-VL and after)
    pinpoints,         ///< fitted into the best of some sizes, in tiles, the whole image first (LLaVA-NeXT)
    pinpoints_pooled,  ///< the same, with its features shrunk where there are too many (LLaVA-OneVision)
    splits,            ///< longer side to `longest`, in tiles, the whole image last (Idefics 3, SmolVLM)
    ratio,             ///< in tiles of the nearest aspect ratio, the whole image last (InternVL)
    square             ///< to side x side, whatever its shape (Gemma 3)
  } cutting = Cutting::none;

  std::string placeholder;    ///< stands for an image in a prompt, as chat templates write it
  std::string before, after;  ///< what chat templates write around it; "" for most
  /// Written around the tokens that take a placeholder's place. splits: `opening` stands before each tile.
  std::string opening, closing;
  std::string token;  ///< stands for one row of features; its id is token_id
  std::int32_t token_id = -1;

  std::int64_t patch = 14;  ///< side of a patch, pixels
  std::int64_t merge = 1;   ///< patches of a row that become one token
  std::int64_t side = 336;  ///< of a tile, pixels
  std::int64_t crop_height = 336, crop_width = 336;
  std::int64_t min_pixels = 0, max_pixels = 0;  ///< grid
  std::int64_t longest = 0;                     ///< splits: of the image, before it is cut
  bool cuts = true;                             ///< splits: false: one tile always
  std::int64_t min_tiles = 1, max_tiles = 12;   ///< ratio
  std::int64_t tile_tokens = 0;                 ///< that stand for one tile; pinpoints: along one side of it
  std::int64_t most_tiles = 9;                  ///< pinpoints_pooled: of whose features there are too many
  std::vector<std::pair<std::int64_t, std::int64_t>> pinpoints;  ///< height, width
  bool upright = false;                                          ///< turned as EXIF says, before anything else
  std::int64_t max_length = 0;  ///< tokens of a row with images: the module's, else the network's own limit

  bool reads_images() const { return cutting != Cutting::none; }
  bool operator==(const VisionFacts&) const = default;
};

}  // namespace proctor
