// Encoders of BERT's kind, with tables of positions or with relative ones; the table of all encoders. Facts of each
// family: its configuration class and modeling file in transformers 4.57.1.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "worker/checkpoint/encoder_reader.h"
#include "worker/checkpoint/families.h"

namespace proctor {
namespace {

constexpr std::int64_t kColbertWidth = 128;  // where artifact.metadata says nothing else

EncoderConfig read_bert(ConfigReader& reader) {
  EncoderConfig c = read_encoder(reader, {});
  read_position_table(reader, c, 0);
  c.names.head_dense = "bert.pooler.dense", c.names.head_out = "classifier";
  c.names.token_vector = "linear";
  return c;
}

/// Positions begin behind the padding id, and padding has none of its own, wherever it stands.
EncoderConfig read_roberta(ConfigReader& reader) {
  EncoderConfig c = read_encoder(reader, {});
  const auto padding = reader.get<std::int64_t>("pad_token_id", 1);
  read_position_table(reader, c, padding + 1);
  c.uncounted = static_cast<TokenId>(padding);
  c.names.head_dense = "classifier.dense", c.names.head_out = "classifier.out_proj";
  return c;
}

/// The tables may be narrower than the states.
EncoderConfig read_electra(ConfigReader& reader) {
  EncoderConfig c = read_encoder(reader, {.hidden = 256, .intermediate = 1024, .heads = 4});
  read_position_table(reader, c, 0);
  const auto width = reader.get<std::int64_t>("embedding_size", 128);
  if (width != c.hidden) c.embedding_width = width, c.projection_bias = true;
  c.names.input_projection = "embeddings_project";
  c.names.head_dense = "classifier.dense", c.names.head_out = "classifier.out_proj";
  c.head.activation = Activation::gelu;
  return c;
}

/// Some layers share weights. The tables are always narrower, if only by name.
EncoderConfig read_albert(ConfigReader& reader) {
  EncoderConfig c = read_encoder(
      reader, {.vocabulary = 30000, .hidden = 4096, .intermediate = 16384, .heads = 64, .activation = "gelu_new"});
  read_position_table(reader, c, 0);
  c.embedding_width = reader.get<std::int64_t>("embedding_size", 128);
  c.projection_bias = true;
  const auto groups = reader.get<std::int64_t>("num_hidden_groups", 1);
  const auto inner = reader.get<std::int64_t>("inner_group_num", 1);
  reader.require_layers("num_hidden_groups", groups);
  reader.require_layers("inner_group_num", inner);
  if (groups > c.layers) reader.refuse("num_hidden_groups", "is more than there are layers");
  reader.require_layers("num_hidden_layers", c.layers * inner);
  EncoderNames& n = c.names;
  for (std::int64_t layer = 0; layer < c.layers; ++layer)
    for (std::int64_t i = 0; i < inner; ++i) {
      const double layers_of_group = static_cast<double>(c.layers) / static_cast<double>(groups);
      c.weights_of.push_back(static_cast<std::int64_t>(static_cast<double>(layer) / layers_of_group) * inner + i);
    }
  c.layers *= inner;
  n.layers.clear();
  for (std::int64_t set = 0; set < groups * inner; ++set)
    n.layers.push_back("encoder.albert_layer_groups." + std::to_string(set / inner) + ".albert_layers." +
                       std::to_string(set % inner) + ".");
  n.input_projection = "encoder.embedding_hidden_mapping_in";
  n.q = "attention.query", n.k = "attention.key", n.v = "attention.value";
  n.output = "attention.dense", n.attention_out = "attention.LayerNorm";
  n.up = "ffn", n.down = "ffn_output", n.mlp_out = "full_layer_layer_norm";
  n.head_dense = "albert.pooler", n.head_out = "classifier";
  return c;
}

EncoderConfig read_distilbert(ConfigReader& reader) {
  reader.rename({{"dim", "hidden_size"},
                 {"hidden_dim", "intermediate_size"},
                 {"n_layers", "num_hidden_layers"},
                 {"n_heads", "num_attention_heads"},
                 {"activation", "hidden_act"}});
  EncoderConfig c = read_encoder(reader, {.layers = 6, .epsilon_key = nullptr, .types = 0});
  read_position_table(reader, c, 0);
  for (const char* key :
       {"sinusoidal_pos_embds", "tie_weights_", "dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout"})
    (void)reader.find(key);  // the table is stored, whoever filled it
  EncoderNames& n = c.names;
  name_layers(c, "transformer.layer.");
  n.q = "attention.q_lin", n.k = "attention.k_lin", n.v = "attention.v_lin", n.output = "attention.out_lin";
  n.attention_out = "sa_layer_norm", n.up = "ffn.lin1", n.down = "ffn.lin2", n.mlp_out = "output_layer_norm";
  n.head_dense = "pre_classifier", n.head_out = "classifier";
  c.head.activation = Activation::relu;
  return c;
}

/// Its code has 32 buckets and positions from 2 on, behind those of padding, 1, whatever the file says.
EncoderConfig read_mpnet(ConfigReader& reader) {
  constexpr std::int64_t kBuckets = 32, kFar = 128;
  EncoderConfig c = read_encoder(reader, {.vocabulary = 30527, .types = 0});
  read_position_table(reader, c, 2);
  c.uncounted = 1;
  reader.require("relative_attention_num_buckets", kBuckets, "is not 32, with which transformers computes");
  c.relative = {RelativePositions::Kind::table, kBuckets, kFar};
  EncoderNames& n = c.names;
  n.relative = "encoder.relative_attention_bias";
  n.q = "attention.attn.q", n.k = "attention.attn.k", n.v = "attention.attn.v", n.output = "attention.attn.o";
  n.attention_out = "attention.LayerNorm";
  n.head_dense = "classifier.dense", n.head_out = "classifier.out_proj";
  return c;
}

/// Texts of one key, split at bars: "p2c|c2p" or a list.
std::vector<std::string> read_names(ConfigReader& reader, const char* key) {
  const nlohmann::json* value = reader.find(key);
  std::vector<std::string> names;
  if (!value || value->is_null()) return names;
  if (value->is_array()) {
    for (const nlohmann::json& one : *value) {
      if (!one.is_string()) reader.refuse(key, "is no list of names: " + value->dump());
      names.push_back(one);
    }
  } else if (value->is_string()) {
    std::string name;
    for (const char letter : value->get<std::string>() + "|") {
      if (letter == '|')
        names.push_back(std::exchange(name, ""));
      else if (letter != ' ')
        name += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    }
  } else {
    reader.refuse(key, "is neither text nor list: " + value->dump());
  }
  std::erase(names, "");
  return names;
}

/// DeBERTa's attention: what is added to products of queries and keys, and by what all of it is divided.
void read_disentangled(ConfigReader& reader, EncoderConfig& c, std::int64_t table) {
  RelativePositions& r = c.relative;
  const auto kinds = read_names(reader, "pos_att_type");
  const auto norms = read_names(reader, "norm_rel_ebd");
  const auto listed = [](const std::vector<std::string>& names, const char* name) {
    return std::ranges::find(names, name) != names.end();
  };
  for (const std::string& name : kinds)
    if (name != "c2p" && name != "p2c" && name != "p2p")
      reader.refuse("pos_att_type", "has '" + name + "', which is not implemented");
  r.of_keys = listed(kinds, "c2p"), r.of_queries = listed(kinds, "p2c");
  const double parts = 1 + (r.of_keys ? 1 : 0) + (r.of_queries ? 1 : 0);
  c.attention_scale = 1 / std::sqrt(static_cast<double>(c.head_dim) * parts);
  const auto farthest = reader.get<std::int64_t>("max_relative_positions", -1);
  r.buckets = std::max<std::int64_t>(0, reader.get<std::int64_t>("position_buckets", -1));
  r.shares_projections = reader.get("share_att_key", false);
  r.normed = listed(norms, "layer_norm");
  const bool relative = reader.get("relative_attention", false);
  if (!relative || (!r.of_keys && !r.of_queries)) {
    r.of_keys = r.of_queries = false;
    return;
  }
  r.kind = RelativePositions::Kind::disentangled;
  r.max_distance = farthest >= 1 ? farthest : table;
  r.span = r.buckets > 0 ? r.buckets : r.max_distance;
  if (r.buckets == 1 || (r.buckets > 0 && r.max_distance - 1 <= r.buckets / 2))
    reader.refuse("position_buckets", "has no distances beyond half of it");
  reader.require_sizes({{"max_relative_positions", r.span}});
}

EncoderConfig read_deberta(ConfigReader& reader) {
  EncoderConfig c = read_encoder(reader, {.vocabulary = 128100,
                                          .hidden = 1536,
                                          .intermediate = 6144,
                                          .layers = 24,
                                          .heads = 24,
                                          .epsilon = 1e-7,
                                          .types = 0});
  const auto positions = reader.get<std::int64_t>("max_position_embeddings", 512);
  c.most_tokens = positions;
  c.positions = reader.get("position_biased_input", true) ? positions : 0;
  reader.require_sizes({{"max_position_embeddings", positions}});
  const auto width = reader.get("embedding_size", c.hidden);
  if (width != c.hidden) c.embedding_width = width, c.projects_before_norm = true;
  reader.require("attention_head_size", c.head_dim, "is not hidden_size / num_attention_heads");
  reader.require("conv_kernel_size", 0, "asks for a convolution behind the first layer, which is not implemented");
  for (const char* key : {"conv_act", "conv_groups"}) (void)reader.find(key);
  reader.require("pooler_hidden_size", c.hidden, "is not hidden_size");
  read_disentangled(reader, c, positions);
  EncoderNames& n = c.names;
  n.input_projection = "embeddings.embed_proj";
  n.relative = "encoder.rel_embeddings", n.relative_norm = "encoder.LayerNorm";
  n.q = "attention.self.query_proj", n.k = "attention.self.key_proj", n.v = "attention.self.value_proj";
  n.head_dense = "pooler.dense", n.head_out = "classifier";
  c.head.activation = read_encoder_activation(reader, "pooler_hidden_act", "gelu");
  return c;
}

const std::vector<EncoderFamily>& bert_families() {
  static const std::vector<EncoderFamily> rows = {
      {"BertModel", read_bert, ""},
      {"BertForSequenceClassification", read_bert, "bert.", true},
      {"BertForMaskedLM", read_bert, "bert."},
      {"HF_ColBERT", read_bert, "bert.", false, true},
      {"RobertaModel", read_roberta, ""},
      {"RobertaForSequenceClassification", read_roberta, "roberta.", true},
      {"RobertaForMaskedLM", read_roberta, "roberta."},
      {"XLMRobertaModel", read_roberta, ""},
      {"XLMRobertaForSequenceClassification", read_roberta, "roberta.", true},
      {"XLMRobertaForMaskedLM", read_roberta, "roberta."},
      {"CamembertModel", read_roberta, ""},
      {"CamembertForSequenceClassification", read_roberta, "roberta.", true},
      {"CamembertForMaskedLM", read_roberta, "roberta."},
      {"ElectraModel", read_electra, ""},
      {"ElectraForSequenceClassification", read_electra, "electra.", true},
      {"AlbertModel", read_albert, ""},
      {"AlbertForSequenceClassification", read_albert, "albert.", true},
      {"DistilBertModel", read_distilbert, ""},
      {"DistilBertForSequenceClassification", read_distilbert, "distilbert.", true},
      {"DistilBertForMaskedLM", read_distilbert, "distilbert."},
      {"MPNetModel", read_mpnet, ""},
      {"MPNetForSequenceClassification", read_mpnet, "mpnet.", true},
      {"MPNetForMaskedLM", read_mpnet, "mpnet."},
      {"DebertaV2Model", read_deberta, ""},
      {"DebertaV2ForSequenceClassification", read_deberta, "deberta.", true},
  };
  return rows;
}

const std::map<std::string, const EncoderFamily*>& table() {
  static const auto rows = [] {
    std::map<std::string, const EncoderFamily*> made;
    for (const auto* families : {&bert_families(), &rotary_encoder_families()})
      for (const EncoderFamily& family : *families) made.emplace(family.name, &family);
    return made;
  }();
  return rows;
}

void put_before_names(EncoderNames& names, const std::string& prefix) {
  for (std::string* name : {&names.words, &names.positions, &names.types, &names.input_norm, &names.input_projection,
                            &names.final_norm, &names.relative, &names.relative_norm})
    if (!name->empty()) *name = prefix + *name;
  for (std::string& layer : names.layers) layer = prefix + layer;
}

}  // namespace

std::optional<Activation> activation_named(const std::string& name) {
  static const std::map<std::string, Activation> known = {
      {"gelu", Activation::gelu},          {"gelu_fast", Activation::gelu_tanh},
      {"gelu_new", Activation::gelu_tanh}, {"gelu_pytorch_tanh", Activation::gelu_tanh},
      {"gelu_python", Activation::gelu},   {"quick_gelu", Activation::quick_gelu},
      {"relu", Activation::relu},          {"relu2", Activation::relu_squared},
      {"sigmoid", Activation::sigmoid},    {"silu", Activation::silu},
      {"swish", Activation::silu},         {"tanh", Activation::tanh},
      {"xielu", Activation::xielu}};
  const auto found = known.find(name);
  return found == known.end() ? std::nullopt : std::optional(found->second);
}

std::int64_t label_count(ConfigReader& reader) {
  const nlohmann::json* names = reader.find("id2label");
  const std::int64_t named = names && names->is_object() ? static_cast<std::int64_t>(names->size()) : 2;
  return reader.get<std::int64_t>("num_labels", named);
}

bool is_encoder(const std::string& architecture, const nlohmann::json& json) {
  const auto row = table().find(architecture);
  if (row == table().end()) return false;
  if (!row->second->of_decoder) return true;
  const auto both = json.find("use_bidirectional_attention");
  return both != json.end() && *both == true;
}

std::vector<std::string> encoder_names() {
  std::vector<std::string> names;
  for (const auto& [name, family] : table()) names.push_back(name);
  return names;
}

EncoderConfig read_encoder_config(const std::string& architecture, ConfigReader& reader) {
  const EncoderFamily& family = *table().at(architecture);
  EncoderConfig c = family.read(reader);
  if (family.has_head) c.labels = label_count(reader);
  if (family.projects) c.projection = kColbertWidth;
  put_before_names(c.names, family.prefix);
  if (c.embedding_width < 0) reader.refuse("embedding_size", "is below 1");
  reader.finish();
  return c;
}

}  // namespace proctor
