// Which tensors fill which parameters of an encoder, by its facts and names.
#include "worker/checkpoint/families.h"
#include "worker/checkpoint/source_list.h"

namespace proctor {
namespace {

using Shape = std::vector<std::int64_t>;

class EncoderSources {
 public:
  explicit EncoderSources(const EncoderConfig& config) : c_(config), n_(config.names) {}

  std::vector<WeightSource> all() {
    const std::int64_t table = c_.table_width();
    list_.add("words", n_.words + ".weight", {c_.vocabulary, table});
    if (c_.positions > 0) list_.add("positions", n_.positions + ".weight", {c_.positions, table});
    if (c_.types > 0) list_.add("types", n_.types + ".weight", {c_.types, table});
    if (c_.embedding_width > 0)
      list_.linear("input_projection", n_.input_projection, c_.hidden, table, c_.projection_bias, Split::replicate);
    if (c_.input_norm) norm("input_norm", n_.input_norm, c_.projects_before_norm ? c_.hidden : table);
    if (!n_.final_norm.empty()) norm("final_norm", n_.final_norm, c_.hidden);
    relative();
    for (std::size_t layer = 0; layer < n_.layers.size(); ++layer) {
      to_ = "layers." + std::to_string(layer) + ".";
      from_ = n_.layers[layer];
      attention(layer == 0 && !c_.first_attention_norm);
      feed_forward();
    }
    if (c_.labels > 0) head();
    if (c_.projection > 0) list_.add("projection", n_.token_vector + ".weight", {c_.projection, c_.hidden});
    return list_.taken();
  }

 private:
  void norm(const std::string& parameter, const std::string& tensor, std::int64_t width) {
    list_.norm(parameter, tensor, width, c_.norm.bias);
  }

  void attention(bool without_norm) {
    const std::int64_t queries = c_.width(), keys = c_.keys() * c_.head_dim;
    if (c_.norms != EncoderConfig::Norms::of_sums && !without_norm)
      norm(to_ + "attention_in", from_ + n_.attention_in, c_.hidden);
    if (c_.norms != EncoderConfig::Norms::before) norm(to_ + "attention_out", from_ + n_.attention_out, c_.hidden);
    const auto part = [&](const std::string& name, std::int64_t row, std::int64_t rows, Split split) {
      PartOfTensor of{};
      if (!n_.qkv.empty()) of = {{queries + 2 * keys, c_.hidden}, 0, row};
      list_.linear(to_ + "qkv", from_ + (n_.qkv.empty() ? name : n_.qkv), rows, c_.hidden, c_.qkv_bias, split, row, of);
    };
    part(n_.q, 0, queries, Split::column);
    part(n_.k, queries, keys, Split::kv);
    part(n_.v, queries + keys, keys, Split::kv);
    if (c_.norms_queries_and_keys) {
      list_.add(to_ + "q_norm", from_ + n_.q_norm + ".weight", {c_.head_dim});
      list_.add(to_ + "k_norm", from_ + n_.k_norm + ".weight", {c_.head_dim});
    }
    list_.linear(to_ + "output", from_ + n_.output, c_.hidden, queries, c_.output_bias, Split::row);
    if (c_.relative.kind != RelativePositions::Kind::disentangled || c_.relative.shares_projections) return;
    if (c_.relative.of_keys)
      list_.linear(to_ + "position_key", from_ + n_.position_key, queries, c_.hidden, true, Split::column);
    if (c_.relative.of_queries)
      list_.linear(to_ + "position_query", from_ + n_.position_query, queries, c_.hidden, true, Split::column);
  }

  void feed_forward() {
    if (c_.norms != EncoderConfig::Norms::of_sums) norm(to_ + "mlp_in", from_ + n_.mlp_in, c_.hidden);
    if (c_.norms != EncoderConfig::Norms::before) norm(to_ + "mlp_out", from_ + n_.mlp_out, c_.hidden);
    const std::int64_t width = c_.intermediate;
    const auto up = [&](const std::string& name, std::int64_t row, PartOfTensor part = {}) {
      list_.linear(to_ + "up", from_ + name, width, c_.hidden, c_.up_bias, Split::column, row, part);
    };
    if (!c_.gated) {
      up(n_.up, 0);
    } else if (n_.gate_up.empty()) {
      up(n_.gate, 0);
      up(n_.up, width);
    } else {
      const Shape both = {2 * width, c_.hidden};
      up(n_.gate_up, 0, {both, 0, c_.activates_second ? width : 0});
      up(n_.gate_up, width, {both, 0, c_.activates_second ? 0 : width});
    }
    list_.linear(to_ + "down", from_ + n_.down, c_.hidden, width, c_.down_bias, Split::row);
  }

  void relative() {
    const RelativePositions& r = c_.relative;
    if (r.kind == RelativePositions::Kind::table)
      list_.add("relative", n_.relative + ".weight", {r.buckets, c_.heads}, Split::row);
    if (r.kind != RelativePositions::Kind::disentangled) return;
    list_.add("relative", n_.relative + ".weight", {2 * r.span, c_.hidden});
    if (r.normed) norm("relative_norm", n_.relative_norm, c_.hidden);
  }

  void head() {
    if (!n_.head_dense.empty())
      list_.linear("head_dense", n_.head_dense, c_.hidden, c_.hidden, c_.head.dense_bias, Split::replicate);
    if (c_.head.normed) norm("head_norm", n_.head_norm, c_.hidden);
    list_.linear("head_out", n_.head_out, c_.labels, c_.hidden, true, Split::replicate);
  }

  const EncoderConfig& c_;
  const EncoderNames& n_;
  std::string to_, from_;  // of the layer
  SourceList list_;
};

}  // namespace

std::vector<WeightSource> encoder_weight_sources(const EncoderConfig& config) { return EncoderSources(config).all(); }

}  // namespace proctor
