#include "worker/checkpoint/vision_reader.h"

#include "worker/checkpoint/decoder_reader.h"
#include "worker/checkpoint/image_processor_fields.h"

namespace proctor {

void require_tower_sizes(ConfigReader& reader, VisionConfig& c) {
  reader.require_sizes({{"hidden_size", c.hidden},
                        {"intermediate_size", c.intermediate},
                        {"num_attention_heads", c.heads},
                        {"patch_size", c.patch}});
  reader.require_layers("num_hidden_layers", c.layers);
  if (c.hidden % c.heads != 0) reader.refuse("num_attention_heads", "does not divide hidden_size");
  c.head_dim = c.hidden / c.heads;
}

VisionConfig read_tiles(ConfigReader& reader, const TowerDefaults& d) {
  VisionConfig c;
  c.hidden = reader.get("hidden_size", d.hidden);
  c.intermediate = reader.get("intermediate_size", d.intermediate);
  c.layers = reader.get("num_hidden_layers", d.layers);
  c.heads = reader.get("num_attention_heads", d.heads);
  c.patch = read_square(reader, "patch_size", d.patch);
  c.norm = kTowerNorm;
  c.norm.epsilon = reader.positive("layer_norm_eps", d.epsilon, 1);
  c.final_norm = c.norm;
  c.activation = read_decoder_activation(reader, "hidden_act", d.activation);
  reader.require("num_channels", 3, "is not the three of an RGB image");
  pass_by(reader, {"attention_dropout", "hidden_dropout_prob", "initializer_factor", "projection_dim", "vocab_size",
                   "vision_use_head", "max_num_patches", "num_image_tokens"});
  require_tower_sizes(reader, c);
  const std::int64_t side = read_square(reader, "image_size", d.image);
  if (side < c.patch || side / c.patch > 1024) reader.refuse("image_size", "is " + std::to_string(side));
  c.grid = side / c.patch;
  c.positions = c.grid * c.grid;
  c.windows.assign(static_cast<std::size_t>(c.layers), 0);
  VisionNames& n = c.names;
  n.q = "self_attn.q_proj", n.k = "self_attn.k_proj", n.v = "self_attn.v_proj", n.output = "self_attn.out_proj";
  n.attention_in = "layer_norm1", n.mlp_in = "layer_norm2", n.up = "mlp.fc1", n.down = "mlp.fc2";
  return c;
}

void name_tower(VisionConfig& c, const std::string& tower) {
  c.names.patch = tower + "embeddings.patch_embedding";
  c.names.positions = tower + "embeddings.position_embedding.weight";
  c.names.layer = tower + "encoder.layers.";
}

}  // namespace proctor
