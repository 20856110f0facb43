// Which tensors fill which parameters of a vision tower, by its facts and names. Every member of a gang has all of it.
#include "worker/checkpoint/families.h"
#include "worker/checkpoint/source_list.h"

namespace proctor {
namespace {

class VisionSources {
 public:
  explicit VisionSources(const VisionConfig& config) : c_(config), n_(config.names) {}

  std::vector<WeightSource> all() {
    embeddings();
    for (std::int64_t layer = 0; layer < c_.layers; ++layer) {
      to_ = "vision.layers." + std::to_string(layer) + ".";
      from_ = n_.layer + std::to_string(layer) + ".";
      attention();
      feed_forward();
    }
    if (!n_.final_norm.empty()) norm("vision.final_norm", n_.final_norm, c_.hidden, c_.final_norm);
    projector();
    for (std::size_t i = 0; i < c_.deepstack.size(); ++i) {
      const std::string to = "vision.deepstack." + std::to_string(i) + ".",
                        from = n_.deepstack + std::to_string(i) + ".";
      norm(to + "norm", from + "norm", c_.merged(), c_.projector_norm);
      two_linears(to, from + "linear_fc1", from + "linear_fc2");
    }
    return list_.taken();
  }

 private:
  void linear(const std::string& parameter, const std::string& tensor, std::int64_t rows, std::int64_t columns,
              bool bias, std::int64_t row = 0) {
    list_.linear(parameter, tensor, rows, columns, bias, Split::replicate, row);
  }
  void norm(const std::string& parameter, const std::string& tensor, std::int64_t width, const NormFacts& facts) {
    list_.norm(parameter, tensor, width, facts.bias);
  }

  void embeddings() {
    const std::int64_t p = c_.patch;
    PartOfTensor patch;
    patch.shape = c_.grid == 0 ? std::vector<std::int64_t>{c_.hidden, 3, c_.frames, p, p}
                               : std::vector<std::int64_t>{c_.hidden, 3, p, p};
    patch.flattened = true;
    list_.add("vision.patch", n_.patch + ".weight", {c_.hidden, c_.patch_values()}, Split::replicate, 0, patch);
    if (c_.patch_bias) list_.add("vision.patch_bias", n_.patch + ".bias", {c_.hidden});
    PartOfTensor token, table;
    token.shape = {c_.hidden};
    token.flattened = true;
    if (n_.leading_ones) token.shape = {1, 1, c_.hidden}, table.shape = {1, c_.positions, c_.hidden};
    if (c_.has_class_token) list_.add("vision.class_token", n_.class_token, {1, c_.hidden}, Split::replicate, 0, token);
    if (c_.positions > 0)
      list_.add("vision.positions", n_.positions, {c_.positions, c_.hidden}, Split::replicate, 0, table);
    if (!n_.input_norm.empty()) norm("vision.input_norm", n_.input_norm, c_.hidden, c_.norm);
  }

  void attention() {
    const std::int64_t h = c_.hidden;
    norm(to_ + "attention_in", from_ + n_.attention_in, h, c_.norm);
    if (!n_.qkv.empty()) {
      linear(to_ + "qkv", from_ + n_.qkv, 3 * h, h, c_.qkv_bias);
    } else {
      linear(to_ + "qkv", from_ + n_.q, h, h, c_.qkv_bias, 0);
      linear(to_ + "qkv", from_ + n_.k, h, h, c_.qkv_bias, h);
      linear(to_ + "qkv", from_ + n_.v, h, h, c_.qkv_bias, 2 * h);
    }
    if (c_.norms_queries_and_keys) {
      list_.add(to_ + "q_norm", from_ + n_.q_norm + ".weight", {h});
      list_.add(to_ + "k_norm", from_ + n_.k_norm + ".weight", {h});
    }
    linear(to_ + "output", from_ + n_.output, h, h, true);
    if (c_.scales_blocks) {
      list_.add(to_ + "attention_scale", from_ + n_.attention_scale, {h});
      list_.add(to_ + "mlp_scale", from_ + n_.mlp_scale, {h});
    }
  }

  void feed_forward() {
    const std::int64_t h = c_.hidden, width = c_.intermediate;
    norm(to_ + "mlp_in", from_ + n_.mlp_in, h, c_.norm);
    if (c_.gated) linear(to_ + "up", from_ + n_.gate, width, h, true);
    linear(to_ + "up", from_ + n_.up, width, h, true, c_.gated ? width : 0);
    linear(to_ + "down", from_ + n_.down, h, width, true);
  }

  void two_linears(const std::string& to, const std::string& first, const std::string& second) {
    if (c_.projector_hidden > 0) linear(to + "first", first, c_.projector_hidden, c_.merged(), c_.projector_bias);
    linear(to + "second", second, c_.text_hidden, c_.projector_hidden > 0 ? c_.projector_hidden : c_.merged(),
           c_.projector_bias);
  }

  void projector() {
    if (!n_.projector_norm.empty())
      norm("projector.norm", n_.projector_norm, c_.norms_patches ? c_.hidden : c_.merged(), c_.projector_norm);
    if (!n_.matrix.empty()) {
      PartOfTensor turned;
      turned.shape = {c_.merged(), c_.text_hidden};
      turned.transposed = true;
      list_.add("projector.second", n_.matrix, {c_.text_hidden, c_.merged()}, Split::replicate, 0, turned);
    } else {
      two_linears("projector.", n_.first, n_.second);
    }
    if (!n_.newline.empty()) list_.add("projector.newline", n_.newline, {c_.text_hidden});
  }

  const VisionConfig& c_;
  const VisionNames& n_;
  std::string to_, from_;  // of the layer
  SourceList list_;
};

}  // namespace

std::vector<WeightSource> vision_weight_sources(const VisionConfig& config) { return VisionSources(config).all(); }

}  // namespace proctor
