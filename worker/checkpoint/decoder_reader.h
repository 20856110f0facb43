// What readers of decoder families have in common: the keys of a config.json that most of them know by the same names.
// A family's reader begins with read_decoder() and says what differs.
#pragma once

#include <string>
#include <vector>

#include "worker/checkpoint/config_reader.h"
#include "worker/checkpoint/decoder_config.h"

namespace proctor {

/// What a family's configuration class has where config.json lacks the key.
struct DecoderDefaults {
  std::int64_t vocabulary = 32000, hidden = 4096, intermediate = 11008, layers = 32, heads = 32;
  std::int64_t kv_heads = 0;  ///< 0: as many as heads
  std::int64_t head_dim = 0;  ///< 0: hidden / heads
  std::int64_t max_position = 2048;
  double epsilon = 1e-6, theta = 10000;
  bool tied = false;
  const char* epsilon_key = "rms_norm_eps";
  const char* activation_key = "hidden_act";
  const char* activation = "silu";
  double rotary_fraction = 0;  ///< partial_rotary_factor; 0: the family knows none
  bool interleaved = false;
  TokenId eos = -1;                 ///< -1: none
  const char* rope_kind = nullptr;  ///< of read_rope
};

/// Sizes, epsilon, activation, one rope for all layers (rope_theta, rope_scaling, rope_parameters), no windows, and the
/// refusals that hold for all families.
DecoderConfig read_decoder(ConfigReader& reader, const DecoderDefaults& defaults);

/// Throws InputError for sizes that no network has, heads that cannot be grouped or rotated, experts that are not
/// there.
void check_decoder_sizes(const DecoderConfig& config, const ConfigReader& reader);

/// By rope_theta, rope_scaling and rope_parameters: everything in them decides numbers, so that what is not understood
/// is refused. width: how much of a head is rotated. kind: of layers, whose own object in rope_parameters is read where
/// it has one for each kind; null: the family has one for all.
Rope read_rope(ConfigReader& reader, const DecoderConfig& config, double theta, std::int64_t width,
               const char* kind = nullptr);
/// Does rope_parameters have an object for each kind of layer, as transformers 5 writes it?
bool has_rope_of_kinds(ConfigReader& reader);

/// The activation by transformers' name. Throws InputError for one that is not implemented.
Activation read_decoder_activation(ConfigReader& reader, const char* key, const char* fallback);

/// layer_types, of as many entries as there are layers; empty where the key is absent.
std::vector<std::string> read_layer_types(ConfigReader& reader, std::int64_t layers,
                                          const std::vector<std::string>& known = {"full_attention",
                                                                                   "sliding_attention"});
/// `size` in the layers that layer_types calls sliding; without the key, in those that are not every `pattern`-th (0:
/// in none; 1: in all).
void read_windows(ConfigReader& reader, DecoderConfig& config, std::int64_t size, std::int64_t pattern);
/// sliding_window: `fallback` where the key is absent, 0 where it is null.
std::int64_t read_window(ConfigReader& reader, std::int64_t fallback);

/// Norms of queries and keys, before the rotation, as the layers' own.
void norm_queries_and_keys(DecoderConfig& config, QueryKeyNorm::Over over = QueryKeyNorm::Over::head);
/// No rope where a layer has no window.
void rope_in_windows_only(DecoderConfig& config);
/// One tensor of gate and up, as Phi 3 and GLM have it.
void fuse_gate_up(DecoderConfig& config);
/// The same window in all layers; 0: none.
void set_windows(DecoderConfig& config, std::int64_t size);
/// Windows from layer_types; without the key, from layer `first` on.
void read_windows_from(ConfigReader& reader, DecoderConfig& config, std::int64_t size, std::int64_t first);
/// Which layers have a rope: no_rope_layers has 1 for one that has; without it every no_rope_layer_interval-th has
/// none.
void read_layers_without_rope(ConfigReader& reader, DecoderConfig& config);
/// Options of a family's first, own code: each absent, null or as the family computes it.
void require_plain(ConfigReader& reader, std::initializer_list<std::pair<const char*, nlohmann::json>> options);
/// Keys that are read and decide nothing.
void pass_by(ConfigReader& reader, std::initializer_list<const char*> keys);

/// clip_qkv; 0: none.
double read_clip(ConfigReader& reader);

/// The first of these keys that is there.
std::int64_t read_size(ConfigReader& reader, const std::vector<const char*>& keys, std::int64_t fallback);

/// attention_bias: of queries, keys, values and, if it is asked for, the product behind them.
void read_attention_bias(ConfigReader& reader, DecoderConfig& config, bool fallback, bool of_output = true);

/// Of ALiBi (Press et al. 2022, arXiv:2108.12409): powers of 2^(-most / n), n the power of two not above `heads`, and
/// every second one of 2n for the rest.
std::vector<float> alibi_slopes(std::int64_t heads, double most = 8);

using ReadDecoder = DecoderConfig (*)(ConfigReader&);

/// A row of the table: what architectures of this family are called, with a head and without.
struct DecoderFamily {
  /// Where its keys stand: at the top; in text_config, its tensors beside a vision tower's; there or at the top.
  enum class Keys { at_top, of_text, anywhere };

  const char *with_head, *base;
  ReadDecoder read;  ///< null: what text_config's model_type names is read
  Keys keys = Keys::at_top;
  const char* model_type = nullptr;  ///< where text_config has none
};

/// The rows, by kind of family.
const std::vector<DecoderFamily>& llama_families();
const std::vector<DecoderFamily>& qwen_families();
const std::vector<DecoderFamily>& gemma_families();
const std::vector<DecoderFamily>& gpt_families();
const std::vector<DecoderFamily>& expert_families();
const std::vector<DecoderFamily>& sigmoid_expert_families();
/// Image-text models whose text model is a family of its own.
const std::vector<DecoderFamily>& vision_families();

DecoderConfig read_llama(ConfigReader& reader);
DecoderConfig read_gemma3(ConfigReader& reader);
/// Granite's multipliers.
void read_granite_scales(ConfigReader& reader, DecoderConfig& config);

}  // namespace proctor
