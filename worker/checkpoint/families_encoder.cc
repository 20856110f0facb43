// The encoder families' part of families.h.
#include <map>
#include <optional>

#include "sharding/protocol/error.h"
#include "worker/checkpoint/families.h"

namespace proctor {
namespace {

/// BERT adds no offset to positions; RoBERTa and XLM-R begin behind the padding id.
enum class Positions { from_zero, behind_padding };

/// Where the two layers of a classification head lie.
struct HeadNames {
  const char *dense, *out;
};
constexpr HeadNames kBertHead = {"bert.pooler.dense", "classifier"},
                    kRobertaHead = {"classifier.dense", "classifier.out_proj"};

constexpr std::int64_t kColbertWidth = 128;  // where artifact.metadata says nothing else

struct Family {
  Positions positions;
  const char* prefix;  // of the tensors' names
  std::optional<HeadNames> head = std::nullopt;
  bool projects = false;
};

const std::map<std::string, Family>& table() {
  static const std::map<std::string, Family> rows = {
      {"BertModel", {Positions::from_zero, ""}},
      {"BertForSequenceClassification", {Positions::from_zero, "bert.", kBertHead}},
      {"HF_ColBERT", {Positions::from_zero, "bert.", std::nullopt, true}},
      {"RobertaModel", {Positions::behind_padding, ""}},
      {"RobertaForSequenceClassification", {Positions::behind_padding, "roberta.", kRobertaHead}},
      {"XLMRobertaModel", {Positions::behind_padding, ""}},
      {"XLMRobertaForSequenceClassification", {Positions::behind_padding, "roberta.", kRobertaHead}},
  };
  return rows;
}

Activation read_activation(ConfigReader& reader) {
  const std::string name = reader.get("hidden_act", std::string("gelu"));
  const auto known = activation_named(name);
  if (!known) reader.refuse("hidden_act", "is '" + name + "', which is not implemented");
  return *known;
}

}  // namespace

std::optional<Activation> activation_named(const std::string& name) {
  static const std::map<std::string, Activation> known = {
      {"gelu", Activation::gelu},          {"gelu_fast", Activation::gelu_tanh},
      {"gelu_new", Activation::gelu_tanh}, {"gelu_pytorch_tanh", Activation::gelu_tanh},
      {"gelu_python", Activation::gelu},   {"quick_gelu", Activation::quick_gelu},
      {"relu", Activation::relu},          {"relu2", Activation::relu_squared},
      {"silu", Activation::silu},          {"swish", Activation::silu},
      {"xielu", Activation::xielu}};
  const auto found = known.find(name);
  return found == known.end() ? std::nullopt : std::optional(found->second);
}

std::int64_t label_count(ConfigReader& reader) {
  const nlohmann::json* names = reader.find("id2label");
  const std::int64_t named = names && names->is_object() ? static_cast<std::int64_t>(names->size()) : 2;
  return reader.get<std::int64_t>("num_labels", named);
}

bool is_encoder(const std::string& architecture) { return table().contains(architecture); }

std::vector<std::string> encoder_names() {
  std::vector<std::string> names;
  for (const auto& [name, family] : table()) names.push_back(name);
  return names;
}

EncoderConfig read_encoder_config(const std::string& architecture, ConfigReader& reader) {
  EncoderConfig c;
  c.vocabulary = reader.get("vocab_size", c.vocabulary);
  c.hidden = reader.get("hidden_size", c.hidden);
  c.intermediate = reader.get("intermediate_size", c.intermediate);
  c.layers = reader.get("num_hidden_layers", c.layers);
  c.heads = reader.get("num_attention_heads", c.heads);
  c.positions = reader.get("max_position_embeddings", c.positions);
  c.types = reader.get("type_vocab_size", c.types);
  c.norm_epsilon = reader.positive("layer_norm_eps", c.norm_epsilon, 1);
  c.activation = read_activation(reader);
  const Family& family = table().at(architecture);
  const auto padding = reader.get<std::int64_t>("pad_token_id", family.positions == Positions::from_zero ? 0 : 1);
  if (family.positions == Positions::behind_padding) c.first_position = padding + 1;
  if (family.head) c.labels = label_count(reader);
  if (family.projects) c.projection = kColbertWidth;
  reader.require("position_embedding_type", "absolute", "is not absolute (the only kind implemented)");
  reader.require("is_decoder", false, "marks a decoder");
  reader.require("add_cross_attention", false, "asks for cross attention");
  reader.require_unquantized();
  for (const char* key : {"attention_probs_dropout_prob", "hidden_dropout_prob", "classifier_dropout", "pooler_fc_size",
                          "pooler_num_attention_heads", "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type",
                          "directionality", "sentence_transformers", "sbert_ce_default_activation_function"})
    (void)reader.find(key);  // training, or what no checkpoint of these families computes
  reader.require_sizes({{"vocab_size", c.vocabulary},
                        {"hidden_size", c.hidden},
                        {"intermediate_size", c.intermediate},
                        {"num_attention_heads", c.heads},
                        {"max_position_embeddings", c.max_tokens()},
                        {"type_vocab_size", c.types}});
  reader.require_layers("num_hidden_layers", c.layers);
  if (padding < 0) reader.refuse("pad_token_id", "is below 0");
  if (c.hidden % c.heads != 0) reader.refuse("num_attention_heads", "does not divide hidden_size");
  c.head_dim = c.hidden / c.heads;
  reader.finish();
  return c;
}

std::vector<WeightSource> encoder_weight_sources(const std::string& architecture, const EncoderConfig& c) {
  const Family& family = table().at(architecture);
  const std::string prefix = family.prefix;
  std::vector<WeightSource> sources;
  const auto add = [&](const std::string& parameter, const std::string& tensor, std::int64_t row,
                       std::vector<std::int64_t> shape, Split split = Split::replicate) {
    sources.push_back({parameter, prefix + tensor, row, std::move(shape), split});
  };
  const auto linear = [&](const std::string& parameter, const std::string& tensor, std::int64_t row, std::int64_t rows,
                          std::int64_t columns, Split split) {
    add(parameter, tensor + ".weight", row, {rows, columns}, split);
    add(parameter + "_bias", tensor + ".bias", row, {rows}, split == Split::row ? Split::replicate : split);
  };
  const auto norm = [&](const std::string& parameter, const std::string& tensor) {
    add(parameter, tensor + ".LayerNorm.weight", 0, {c.hidden});
    add(parameter + "_bias", tensor + ".LayerNorm.bias", 0, {c.hidden});
  };
  add("words", "embeddings.word_embeddings.weight", 0, {c.vocabulary, c.hidden});
  add("positions", "embeddings.position_embeddings.weight", 0, {c.positions, c.hidden});
  add("types", "embeddings.token_type_embeddings.weight", 0, {c.types, c.hidden});
  norm("input_norm", "embeddings");
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    const std::string to = "layers." + std::to_string(layer) + ".";
    const std::string from = "encoder.layer." + std::to_string(layer) + ".";
    linear(to + "qkv", from + "attention.self.query", 0, c.width(), c.hidden, Split::column);
    linear(to + "qkv", from + "attention.self.key", c.width(), c.width(), c.hidden, Split::column);
    linear(to + "qkv", from + "attention.self.value", 2 * c.width(), c.width(), c.hidden, Split::column);
    linear(to + "output", from + "attention.output.dense", 0, c.hidden, c.width(), Split::row);
    norm(to + "attention_norm", from + "attention.output");
    linear(to + "up", from + "intermediate.dense", 0, c.intermediate, c.hidden, Split::column);
    linear(to + "down", from + "output.dense", 0, c.hidden, c.intermediate, Split::row);
    norm(to + "output_norm", from + "output");
  }
  if (c.labels > 0) {
    const auto head = [&](const std::string& parameter, const std::string& tensor, std::int64_t rows) {
      sources.push_back({parameter, tensor + ".weight", 0, {rows, c.hidden}, Split::replicate});
      sources.push_back({parameter + "_bias", tensor + ".bias", 0, {rows}, Split::replicate});
    };
    head("head_dense", family.head->dense, c.hidden);
    head("head_out", family.head->out, c.labels);
  }
  if (c.projection > 0)
    sources.push_back({"projection", "linear.weight", 0, {c.projection, c.hidden}, Split::replicate});
  return sources;
}

}  // namespace proctor
