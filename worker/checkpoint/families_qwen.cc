// Qwen 2 and 3, and the text models of the Qwen-VLs: RMSNorm before each block, biases or norms of queries and keys.
// Facts of each family: its configuration class and modeling file in transformers 4.57.1.
#include "worker/checkpoint/decoder_reader.h"

namespace proctor {
namespace {

constexpr std::int64_t kWindow = 4096;

/// Qwen2 and Qwen3: a window per layer, from layer_types or from max_window_layers on.
void read_qwen_windows(ConfigReader& reader, DecoderConfig& c) {
  const bool use = reader.get("use_sliding_window", false);
  const std::int64_t size = read_window(reader, kWindow);
  const auto first = reader.get<std::int64_t>("max_window_layers", 28);
  reader.require("use_mrope", false, "asks for multimodal rotary positions");
  read_windows_from(reader, c, use ? size : 0, first);
}

constexpr DecoderDefaults kQwen2 = {.vocabulary = 151936, .intermediate = 22016, .kv_heads = 32, .max_position = 32768};

DecoderConfig read_qwen2(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, kQwen2);
  c.qkv_bias = true;
  read_qwen_windows(reader, c);
  return c;
}

DecoderConfig read_qwen3(ConfigReader& reader) {
  DecoderDefaults defaults = kQwen2;
  defaults.head_dim = 128;
  DecoderConfig c = read_decoder(reader, defaults);
  read_attention_bias(reader, c, false);
  norm_queries_and_keys(c);
  read_qwen_windows(reader, c);
  return c;
}

/// Three positions a token: of what, the height and the width of an image it lies at (Qwen2-VL, arXiv:2409.12191).
void read_three_positions(ConfigReader& reader, DecoderConfig& c, const char* key) {
  const std::vector<std::int64_t>& sections = c.ropes[0].sections;
  std::int64_t frequencies = 0;
  for (const std::int64_t section : sections) frequencies += section;
  if (sections.size() != 3 || 2 * frequencies != c.head_dim)
    reader.refuse(key, "has no mrope_section of three numbers whose sum is half of a head");
  c.has_three_positions = true;
}

DecoderConfig read_qwen2_vl(ConfigReader& reader) {
  constexpr std::int64_t kLayers = 80;
  constexpr double kTheta = 1e6;
  DecoderConfig c = read_decoder(reader, {.vocabulary = 152064,
                                          .hidden = 8192,
                                          .intermediate = 29568,
                                          .layers = kLayers,
                                          .heads = 64,
                                          .kv_heads = 8,
                                          .max_position = 32768,
                                          .epsilon = 1e-5,
                                          .theta = kTheta});
  c.qkv_bias = true;
  const bool use = reader.get("use_sliding_window", false);
  const std::int64_t size = read_window(reader, kWindow);
  read_windows_from(reader, c, use ? size : 0, reader.get("max_window_layers", kLayers));
  read_three_positions(reader, c, "rope_scaling");
  return c;
}

DecoderConfig read_qwen3_vl(ConfigReader& reader) {
  constexpr double kTheta = 5e6;
  DecoderConfig c = read_decoder(
      reader, {.vocabulary = 151936, .intermediate = 22016, .head_dim = 128, .max_position = 128000, .theta = kTheta});
  read_attention_bias(reader, c, false);
  norm_queries_and_keys(c);
  read_three_positions(reader, c, "rope_scaling");
  return c;
}

}  // namespace

const std::vector<DecoderFamily>& qwen_families() {
  static const std::vector<DecoderFamily> rows = {
      {"Qwen2ForCausalLM", "Qwen2Model", read_qwen2},
      {"Qwen3ForCausalLM", "Qwen3Model", read_qwen3},
      {"Qwen2VLForConditionalGeneration", nullptr, read_qwen2_vl, DecoderFamily::Keys::anywhere},
      {"Qwen2_5_VLForConditionalGeneration", nullptr, read_qwen2_vl, DecoderFamily::Keys::anywhere},
      {"Qwen3VLForConditionalGeneration", nullptr, read_qwen3_vl, DecoderFamily::Keys::of_text},
  };
  return rows;
}

}  // namespace proctor
