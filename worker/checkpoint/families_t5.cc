// The T5 families' part of families.h.
#include <map>

#include "worker/checkpoint/families.h"

namespace proctor {
namespace {

/// An encoder alone has a classification head (EncT5, Liu et al. 2021, arXiv:2110.08426; TART's checkpoints).
enum class Half { both, encoder };

const std::map<std::string, Half>& table() {
  static const std::map<std::string, Half> rows = {{"T5ForConditionalGeneration", Half::both},
                                                   {"T5WithLMHeadModel", Half::both},
                                                   {"MT5ForConditionalGeneration", Half::both},
                                                   {"EncT5ForSequenceClassification", Half::encoder}};
  return rows;
}

/// "relu", "gated-gelu": transformers takes the latter's function for gelu_new.
void read_feed_forward(ConfigReader& reader, T5Config& c, const std::string& usual) {
  const std::string name = reader.get("feed_forward_proj", usual);
  c.gated = name.starts_with("gated-");
  const std::string function = name == "gated-gelu" ? "gelu_new" : c.gated ? name.substr(6) : name;
  const auto known = activation_named(function);
  if (!known) reader.refuse("feed_forward_proj", "is '" + name + "', which is not implemented");
  c.activation = *known;
}

}  // namespace

bool is_t5(const std::string& architecture) { return table().contains(architecture); }

std::vector<std::string> t5_names() {
  std::vector<std::string> names;
  for (const auto& [name, half] : table()) names.push_back(name);
  return names;
}

T5Config read_t5_config(const std::string& architecture, ConfigReader& reader) {
  T5Config c;
  const bool multilingual = architecture.starts_with("MT5");
  if (multilingual) c = {.vocabulary = 250112, .intermediate = 1024, .heads = 6, .layers = 8};  // MT5Config's
  c.vocabulary = reader.get("vocab_size", c.vocabulary);
  c.hidden = reader.get("d_model", c.hidden);
  c.intermediate = reader.get("d_ff", c.intermediate);
  c.head_dim = reader.get("d_kv", c.head_dim);
  c.heads = reader.get("num_heads", c.heads);
  c.layers = reader.get("num_layers", c.layers);
  c.decoder_layers = reader.get("num_decoder_layers", c.layers);
  c.buckets = reader.get("relative_attention_num_buckets", c.buckets);
  c.max_distance = reader.get("relative_attention_max_distance", c.max_distance);
  c.norm_epsilon = reader.positive("layer_norm_epsilon", c.norm_epsilon, 1);
  c.tied_embeddings = reader.get("tie_word_embeddings", !multilingual);
  read_feed_forward(reader, c, multilingual ? "gated-gelu" : "relu");
  const auto pad = reader.get<std::int32_t>("pad_token_id", 0);
  c.start_token = reader.get<std::int32_t>("decoder_start_token_id", pad);
  if (c.start_token < 0 || c.start_token >= c.vocabulary) reader.refuse("decoder_start_token_id", "is no token's");
  if (table().at(architecture) == Half::encoder) {
    c.decoder_layers = 0;  // whatever num_decoder_layers says
    c.labels = label_count(reader);
  } else {
    reader.require_layers("num_decoder_layers", c.decoder_layers);
  }
  reader.require_unquantized();
  for (const char* key :
       {"dropout_rate", "classifier_dropout", "initializer_factor", "n_positions", "task_specific_params",
        "is_encoder_decoder", "dense_act_fn", "is_gated_act", "tokenizer_class"})
    (void)reader.find(key);  // training; what says the same again
  reader.require_sizes({{"vocab_size", c.vocabulary},
                        {"d_model", c.hidden},
                        {"d_ff", c.intermediate},
                        {"d_kv", c.head_dim},
                        {"num_heads", c.heads},
                        {"relative_attention_num_buckets", c.buckets}});
  reader.require_layers("num_layers", c.layers);
  if (c.buckets < 4) reader.refuse("relative_attention_num_buckets", "is below 4: both directions, near and far");
  if (c.max_distance <= c.buckets / 2)
    reader.refuse("relative_attention_max_distance", "is not above half of relative_attention_num_buckets");
  reader.finish();
  return c;
}

std::vector<WeightSource> t5_weight_sources(const T5Config& c) {
  std::vector<WeightSource> sources;
  const auto add = [&](const std::string& parameter, const std::string& tensor, std::int64_t row,
                       std::vector<std::int64_t> shape, Split split = Split::replicate) {
    sources.push_back({parameter, tensor + ".weight", row, std::move(shape), split});
  };
  const std::int64_t width = c.width();
  const auto feed_forward = [&](const std::string& to, const std::string& from) {
    add(to + "mlp_norm", from + ".layer_norm", 0, {c.hidden});
    const auto up = [&](const char* name, std::int64_t row) {
      add(to + "up", from + ".DenseReluDense." + name, row, {c.intermediate, c.hidden}, Split::column);
    };
    up(c.gated ? "wi_0" : "wi", 0);
    if (c.gated) up("wi_1", c.intermediate);
    add(to + "down", from + ".DenseReluDense.wo", 0, {c.hidden, c.intermediate}, Split::row);
  };
  const auto projection = [&](const std::string& to, const std::string& from, std::int64_t row) {
    add(to, from, row, {width, c.hidden}, Split::column);
  };
  const auto self_attention = [&](const std::string& to, const std::string& from) {
    add(to + "norm", from + ".layer_norm", 0, {c.hidden});
    projection(to + "qkv", from + ".SelfAttention.q", 0);
    projection(to + "qkv", from + ".SelfAttention.k", width);
    projection(to + "qkv", from + ".SelfAttention.v", 2 * width);
    add(to + "output", from + ".SelfAttention.o", 0, {c.hidden, width}, Split::row);
  };
  const auto stack_ends = [&](const std::string& stack) {
    add(stack + "_bias", stack + ".block.0.layer.0.SelfAttention.relative_attention_bias", 0, {c.buckets, c.heads},
        Split::row);
    add(stack + "_final_norm", stack + ".final_layer_norm", 0, {c.hidden});
  };
  add("words", "shared", 0, {c.vocabulary, c.hidden});
  stack_ends("encoder");
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    const std::string to = "encoder." + std::to_string(layer) + ".";
    const std::string from = "encoder.block." + std::to_string(layer) + ".layer.";
    self_attention(to, from + "0");
    feed_forward(to, from + "1");
  }
  if (c.labels > 0) {
    add("head", "classifier", 0, {c.labels, c.hidden});
    sources.push_back({"head_bias", "classifier.bias", 0, {c.labels}, Split::replicate});
  }
  if (c.decoder_layers == 0) return sources;
  stack_ends("decoder");
  if (!c.tied_embeddings) add("head", "lm_head", 0, {c.vocabulary, c.hidden});
  for (std::int64_t layer = 0; layer < c.decoder_layers; ++layer) {
    const std::string to = "decoder." + std::to_string(layer) + ".";
    const std::string from = "decoder.block." + std::to_string(layer) + ".layer.";
    self_attention(to, from + "0");
    add(to + "cross_norm", from + "1.layer_norm", 0, {c.hidden});
    projection(to + "cross_q", from + "1.EncDecAttention.q", 0);
    projection(to + "cross_kv", from + "1.EncDecAttention.k", 0);
    projection(to + "cross_kv", from + "1.EncDecAttention.v", width);
    add(to + "cross_output", from + "1.EncDecAttention.o", 0, {c.hidden, width}, Split::row);
    feed_forward(to, from + "2");
  }
  return sources;
}

}  // namespace proctor
