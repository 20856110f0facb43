// Which tensors fill which parameters of an encoder with a decoder, by its facts and names.
#include <array>

#include "worker/checkpoint/families.h"
#include "worker/checkpoint/source_list.h"

namespace proctor {
namespace {

class Seq2SeqSources {
 public:
  explicit Seq2SeqSources(const Seq2SeqConfig& config) : c_(config), n_(config.names) {}

  std::vector<WeightSource> all() {
    list_.add("words", n_.words + ".weight", {c_.vocabulary, c_.hidden});
    stack("encoder", n_.encoder, c_.encoder, n_.encoder_block);
    if (c_.labels > 0) {
      list_.add("head", "classifier.weight", {c_.labels, c_.hidden});
      list_.add("head_bias", "classifier.bias", {c_.labels});
    }
    if (!c_.has_decoder()) return list_.taken();
    if (!c_.tied_embeddings) list_.add("head", n_.head + ".weight", {c_.vocabulary, c_.hidden});
    stack("decoder", n_.decoder, c_.decoder, n_.decoder_block);
    PartOfTensor row;
    row.shape = {1, c_.vocabulary};
    if (c_.logits_bias) list_.add("head_bias", n_.logits_bias, {c_.vocabulary}, Split::replicate, 0, row);
    return list_.taken();
  }

 private:
  void linear(const std::string& parameter, const std::string& tensor, std::int64_t rows, std::int64_t columns,
              Split split, std::int64_t row = 0) {
    list_.linear(parameter, tensor, rows, columns, c_.biases, split, row);
  }
  void norm(const std::string& parameter, const std::string& tensor) {
    list_.norm(parameter, tensor, c_.hidden, c_.norm.bias);
  }

  void stack(const std::string& name, const std::string& before, const Seq2SeqStack& stack, const std::string& block) {
    constexpr std::int64_t kUnreadRows = 2;  // of BART's table
    if (c_.positions > 0)
      list_.add(name + "_positions", before + n_.positions + ".weight", {c_.positions + kUnreadRows, c_.hidden});
    if (c_.input_norm) norm(name + "_input_norm", before + n_.input_norm);
    if (!n_.final_norm.empty()) norm(name + "_final_norm", before + n_.final_norm);
    const bool decodes = name == "decoder";
    for (std::int64_t layer = 0; layer < stack.layers; ++layer) {
      const std::string to = name + "." + std::to_string(layer) + ".";
      const std::string from = before + n_.layers + std::to_string(layer) + ".";
      if (c_.buckets > 0 && (layer == 0 || c_.bias_of_each_layer))
        list_.add(to + "bias", from + n_.relative + ".weight", {c_.buckets, stack.heads}, Split::row);
      norm(to + "norm", from + n_.self_norm);
      for (std::int64_t part = 0; part < 3; ++part)
        linear(to + "qkv", from + n_.self + *std::array{&n_.q, &n_.k, &n_.v}[static_cast<std::size_t>(part)],
               stack.width(), c_.hidden, Split::column, part * stack.width());
      linear(to + "output", from + n_.self + n_.output, c_.hidden, stack.width(), Split::row);
      if (decodes) cross(to, from, stack);
      feed_forward(to, from + block, stack.intermediate);
    }
  }

  void cross(const std::string& to, const std::string& from, const Seq2SeqStack& stack) {
    const std::int64_t width = stack.width();
    norm(to + "cross_norm", from + n_.cross_norm);
    linear(to + "cross_q", from + n_.cross + n_.q, width, c_.hidden, Split::column);
    linear(to + "cross_kv", from + n_.cross + n_.k, width, c_.hidden, Split::column);
    linear(to + "cross_kv", from + n_.cross + n_.v, width, c_.hidden, Split::column, width);
    linear(to + "cross_output", from + n_.cross + n_.output, c_.hidden, width, Split::row);
  }

  void feed_forward(const std::string& to, const std::string& from, std::int64_t width) {
    norm(to + "mlp_norm", from + n_.mlp_norm);
    linear(to + "up", from + (c_.gated ? n_.gate : n_.ungated_up), width, c_.hidden, Split::column);
    if (c_.gated) linear(to + "up", from + n_.up, width, c_.hidden, Split::column, width);
    linear(to + "down", from + n_.down, c_.hidden, width, Split::row);
  }

  const Seq2SeqConfig& c_;
  const Seq2SeqNames& n_;
  SourceList list_;
};

}  // namespace

std::vector<WeightSource> seq2seq_weight_sources(const Seq2SeqConfig& config) { return Seq2SeqSources(config).all(); }

}  // namespace proctor
