// Which tensors fill which parameters of a decoder, by its facts, names and layout.
#include <map>

#include "worker/checkpoint/families.h"

namespace proctor {
namespace {

using Shape = std::vector<std::int64_t>;

class DecoderSources {
 public:
  explicit DecoderSources(const DecoderConfig& config)
      : c_(config), n_(config.names), q_(c_.heads * c_.head_dim), kv_(c_.kv_heads * c_.head_dim) {}

  std::vector<WeightSource> all() {
    const std::int64_t width = c_.embedding_width > 0 ? c_.embedding_width : c_.hidden;
    add("embedding", n_.embedding + ".weight", {c_.vocabulary, width}, Split::vocabulary);
    if (c_.embedding_width > 0) {
      add("project_in", n_.project_in + ".weight", {c_.hidden, width}, Split::replicate);
      add("project_out", n_.project_out + ".weight", {width, c_.hidden}, Split::replicate);
    }
    if (c_.learned_positions > 0)
      add("positions", n_.positions + ".weight", {c_.learned_positions, c_.hidden}, Split::replicate);
    if (c_.embedding_norm) norm("embedding_norm", n_.embedding_norm);
    if (c_.has_final_norm) norm("final_norm", n_.final_norm);
    if (!c_.tied_embeddings) add("head", n_.head + ".weight", {c_.vocabulary, width}, Split::vocabulary);
    if (c_.head_bias) add("head_bias", n_.head + ".bias", {c_.vocabulary}, Split::vocabulary);
    for (std::int64_t layer = 0; layer < c_.layers; ++layer) {
      to_ = "layers." + std::to_string(layer) + ".";
      from_ = n_.layer + std::to_string(layer) + ".";
      attention();
      norms();
      if (c_.has_experts(layer))
        experts();
      else
        feed_forward(from_, "inner", "down", c_.intermediate, c_.mlp_bias);
    }
    return std::move(sources_);
  }

 private:
  void add(const std::string& parameter, const std::string& tensor, Shape shape, Split split, std::int64_t row = 0,
           PartOfTensor part = {}) {
    sources_.push_back({parameter, tensor, row, std::move(shape), split, std::move(part)});
  }

  void norm(const std::string& parameter, const std::string& tensor) {
    if (c_.norm.weighted) add(parameter, tensor + ".weight", {c_.hidden}, Split::replicate);
    if (c_.norm.bias) add(parameter + "_bias", tensor + ".bias", {c_.hidden}, Split::replicate);
  }

  void norms() {
    if (c_.norms_before) norm(to_ + "attention_in", from_ + n_.attention_in);
    if (c_.norms_after) norm(to_ + "attention_out", from_ + n_.attention_out);
    if (c_.norms_before && c_.order != DecoderConfig::Order::parallel) norm(to_ + "mlp_in", from_ + n_.mlp_in);
    if (c_.norms_after) norm(to_ + "mlp_out", from_ + n_.mlp_out);
  }

  /// Rows of a weight and, where it has one, of its bias. `part.shape`: the whole weight's, not transposed.
  void linear(const std::string& parameter, const std::string& tensor, std::int64_t rows, std::int64_t columns,
              Split split, bool bias, std::int64_t row = 0, PartOfTensor part = {}) {
    part.transposed = c_.layout.transposed;
    PartOfTensor part_of_bias = part;
    if (part.shape.empty()) {
      if (part.transposed) part.shape = {columns, rows};
      part_of_bias.shape = {};
    } else {
      part_of_bias.shape = {part.shape[0]};
      if (part.transposed) std::swap(part.shape[0], part.shape[1]);
    }
    part_of_bias.transposed = false;
    add(parameter, tensor + ".weight", {rows, columns}, split, row, part);
    if (bias)
      add(parameter + "_bias", tensor + ".bias", {rows}, split == Split::row ? Split::replicate : split, row,
          part_of_bias);
  }

  /// The rows of queries, keys and values within a tensor of all three.
  struct Fused {
    PartOfTensor q, k, v;
  };
  Fused fused_qkv() const {
    const Shape whole = {q_ + 2 * kv_, c_.hidden};
    if (const std::int64_t parts = c_.layout.qkv_parts; parts > 1) {
      const std::int64_t own = q_ / parts;
      return {{whole, 0, 0, own, 3 * own}, {whole, 0, 2 * own, own, 3 * own}, {whole, 0, own, own, 3 * own}};
    }
    if (!c_.layout.groups_qkv) return {{whole, 0, 0}, {whole, 0, q_}, {whole, 0, q_ + kv_}};
    const std::int64_t queries = q_ / c_.kv_heads, stride = queries + 2 * c_.head_dim;
    return {{whole, 0, 0, queries, stride},
            {whole, 0, queries, c_.head_dim, stride},
            {whole, 0, queries + c_.head_dim, c_.head_dim, stride}};
  }

  void attention() {
    const bool fused = !n_.qkv.empty();
    const Fused parts = fused ? fused_qkv() : Fused{};
    const auto name = [&](const std::string& own) { return from_ + (fused ? n_.qkv : own); };
    linear(to_ + "qkv", name(n_.q), q_, c_.hidden, Split::column, c_.qkv_bias, 0, parts.q);
    linear(to_ + "qkv", name(n_.k), kv_, c_.hidden, Split::kv, c_.qkv_bias, q_, parts.k);
    linear(to_ + "qkv", name(n_.v), kv_, c_.hidden, Split::kv, c_.qkv_bias, q_ + kv_, parts.v);
    linear(to_ + "output", from_ + n_.output, c_.hidden, q_, Split::row, c_.output_bias);
    if (c_.gates_attention)
      add(to_ + "attention_gate", from_ + n_.attention_gate + ".weight", {q_, c_.hidden}, Split::column);
    query_key_norm(to_ + "q_norm", from_ + n_.q_norm, c_.qk_norm.query_heads);
    query_key_norm(to_ + "k_norm", from_ + n_.k_norm, c_.qk_norm.key_heads);
    if (c_.sinks) add(to_ + "sinks", from_ + n_.sinks, {c_.heads}, Split::column);
  }

  void query_key_norm(const std::string& parameter, const std::string& tensor, std::int64_t heads) {
    const QueryKeyNorm& norm = c_.qk_norm;
    if (norm.over == QueryKeyNorm::Over::none || !norm.facts.weighted) return;
    if (c_.layout.norm_of_each_head) {
      for (std::int64_t head = 0; head < heads; ++head)
        add(parameter, tensor + ".norms." + std::to_string(head) + ".weight", {c_.head_dim}, Split::replicate,
            head * c_.head_dim);
      return;
    }
    const bool all = norm.over == QueryKeyNorm::Over::width || norm.weights_of_each_head;
    PartOfTensor part;
    if (norm.weights_of_each_head) part.shape = {heads, c_.head_dim};
    const std::int64_t width = all ? heads * c_.head_dim : c_.head_dim;
    add(parameter, tensor + ".weight", {width}, Split::replicate, 0, part);
    if (norm.facts.bias) add(parameter + "_bias", tensor + ".bias", {width}, Split::replicate, 0, part);
  }

  /// from: of the layer, or of what lies in it.
  void feed_forward(const std::string& from, const std::string& inner, const std::string& down, std::int64_t width,
                    bool bias) {
    const std::int64_t h = c_.hidden;
    if (!c_.gated) {
      linear(to_ + inner, from + n_.up, width, h, Split::column, bias);
    } else if (n_.gate_up.empty()) {
      linear(to_ + inner, from + n_.gate, width, h, Split::column, bias);
      linear(to_ + inner, from + n_.up, width, h, Split::column, bias, width);
    } else {
      const Shape whole = {2 * width, h};
      linear(to_ + inner, from + n_.gate_up, width, h, Split::column, bias, 0, {whole, 0, 0});
      linear(to_ + inner, from + n_.gate_up, width, h, Split::column, bias, width, {whole, 0, width});
    }
    linear(to_ + down, from + n_.down, h, width, Split::row, bias);
    if (c_.activation == Activation::xielu) xielu(from + n_.xielu);
  }

  void xielu(const std::string& from) {
    PartOfTensor scalar;
    scalar.scalar = true;
    for (const char* learned : {"alpha_p", "alpha_n"}) add(to_ + learned, from + learned, {1}, Split::replicate);
    for (const char* fixed : {"beta", "eps"}) add(to_ + fixed, from + fixed, {1}, Split::replicate, 0, scalar);
  }

  void experts() {
    const Experts& e = c_.experts;
    add(to_ + "router", from_ + n_.router + ".weight", {e.count, c_.hidden}, Split::replicate);
    if (e.router_bias) add(to_ + "router_bias", from_ + n_.router + ".bias", {e.count}, Split::replicate);
    if (e.corrects) correction();
    for (std::int64_t expert = 0; expert < e.count; ++expert) {
      if (n_.experts_gate_up.empty())
        single_expert(expert);
      else
        fused_expert(expert);
    }
    if (e.shared == 0) return;
    const std::string shared = from_ + n_.shared;
    linear(to_ + "shared_inner", shared + n_.expert_gate, e.shared, c_.hidden, Split::column, e.biases);
    linear(to_ + "shared_inner", shared + n_.expert_up, e.shared, c_.hidden, Split::column, e.biases, e.shared);
    linear(to_ + "shared_down", shared + n_.expert_down, c_.hidden, e.shared, Split::row, e.biases);
    if (e.gates_shared) add(to_ + "shared_gate", from_ + n_.shared_gate + ".weight", {1, c_.hidden}, Split::replicate);
  }

  /// Files have it as [experts] or as [1, experts].
  void correction() {
    PartOfTensor part;
    if (c_.layout.correction_has_row) part.shape = {1, c_.experts.count};
    add(to_ + "correction", from_ + n_.correction, {c_.experts.count}, Split::replicate, 0, part);
  }

  void single_expert(std::int64_t expert) {
    const Experts& e = c_.experts;
    const std::string from = from_ + n_.experts + std::to_string(expert) + ".";
    const std::int64_t gate = expert * 2 * e.width, down = expert * c_.hidden;
    linear(to_ + "experts_inner", from + n_.expert_gate, e.width, c_.hidden, Split::column, e.biases, gate);
    linear(to_ + "experts_inner", from + n_.expert_up, e.width, c_.hidden, Split::column, e.biases, gate + e.width);
    linear(to_ + "experts_down", from + n_.expert_down, c_.hidden, e.width, Split::row, e.biases, down);
  }

  void fused_expert(std::int64_t expert) {
    const Experts& e = c_.experts;
    const bool transposed = c_.layout.experts_transposed, alternate = c_.layout.experts_alternate;
    const std::int64_t h = c_.hidden, w = e.width, gate = expert * 2 * w, down = expert * h;
    const auto shape = [&](std::int64_t rows, std::int64_t columns) {
      return transposed ? Shape{e.count, columns, rows} : Shape{e.count, rows, columns};
    };
    const std::int64_t block = alternate ? 1 : 0, stride = alternate ? 2 : 0, up = alternate ? 1 : w;
    const PartOfTensor gate_part = {shape(2 * w, h), expert, 0, block, stride, transposed},
                       up_part = {shape(2 * w, h), expert, up, block, stride, transposed};
    add(to_ + "experts_inner", from_ + n_.experts_gate_up, {w, h}, Split::column, gate, gate_part);
    add(to_ + "experts_inner", from_ + n_.experts_gate_up, {w, h}, Split::column, gate + w, up_part);
    add(to_ + "experts_down", from_ + n_.experts_down, {h, w}, Split::row, down,
        {shape(h, w), expert, 0, 0, 0, transposed});
    if (!e.biases) return;
    add(to_ + "experts_inner_bias", from_ + n_.experts_gate_up + "_bias", {w}, Split::column, gate,
        {{e.count, 2 * w}, expert, 0, block, stride});
    add(to_ + "experts_inner_bias", from_ + n_.experts_gate_up + "_bias", {w}, Split::column, gate + w,
        {{e.count, 2 * w}, expert, up, block, stride});
    add(to_ + "experts_down_bias", from_ + n_.experts_down + "_bias", {h}, Split::replicate, down,
        {{e.count, h}, expert});
  }

  const DecoderConfig& c_;
  const DecoderNames& n_;
  const std::int64_t q_, kv_;
  std::string to_, from_;  // of the layer
  std::vector<WeightSource> sources_;
};

}  // namespace

std::vector<WeightSource> decoder_weight_sources(const DecoderConfig& config) { return DecoderSources(config).all(); }

std::vector<ParameterShape> decoder_parameters(const DecoderConfig& config) {
  return parameters_of(decoder_weight_sources(config));
}

std::vector<ParameterShape> parameters_of(const std::vector<WeightSource>& sources) {
  std::vector<ParameterShape> shapes;
  std::map<std::string, std::size_t> index;
  for (const WeightSource& source : sources) {
    const auto [at, fresh] = index.emplace(source.parameter, shapes.size());
    if (fresh) shapes.push_back({source.parameter, source.shape});
    auto& rows = shapes[at->second].shape[0];
    rows = std::max(rows, source.row + source.shape[0]);
  }
  return shapes;
}

}  // namespace proctor
