// UPR (Sachan et al. 2022, arXiv:2204.07496): how likely a passage makes T5 write the question.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/logsumexp.h>

#include "worker/kernels/token_tensor.h"
#include "worker/kinds/options.h"
#include "worker/kinds/seq2seq_module.h"

namespace proctor {
namespace {

constexpr std::size_t kQuestionTokens = 128;

struct Settings {
  std::string prefix = "Passage: ", suffix = "Please write a question based on this passage.";
};

Settings read_settings(const Module& module) {
  const Settings usual;
  return {option(module, "prefix", usual.prefix), option(module, "suffix", usual.suffix)};
}

class Upr final : public Seq2SeqModule {
 public:
  Upr(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : Seq2SeqModule(module, device, gang, announce),
        settings_(read_settings(module)),
        max_tokens_(token_limit(folder(), module, kRerankTokens)) {}

 private:
  /// The decoder is given the question behind its start token, and predicts it with its end token.
  TextRow row_of(const Request& request) override {
    const std::string text = settings_.prefix + " " + text_of(request, 1) + " " + settings_.suffix;
    TextRow row{codec().encode_at_most(text, static_cast<std::size_t>(max_tokens_)),
                {},
                codec().encode_at_most(text_of(request, 0), kQuestionTokens).ids};
    if (row.decoder.empty()) throw InputError("the question has no token");
    return row;
  }

  /// The sum of the question's log-probabilities: AutoRAG sorts by its negative, upwards.
  void compute(std::span<const TextRow> rows, std::vector<Response>& responses) const override {
    const PackedRows all = packed(rows);
    Tokens given, wanted;
    std::vector<std::int64_t> lengths;
    for (const TextRow& row : rows) {
      given.push_back(network().config().start_token);
      given.insert(given.end(), row.decoder.begin(), row.decoder.end() - 1);
      wanted.insert(wanted.end(), row.decoder.begin(), row.decoder.end());
      lengths.push_back(static_cast<std::int64_t>(row.decoder.size()));
    }
    const at::Tensor states =
        network().decode(given, lengths, {network().encode(all.tokens, all.lengths), all.lengths});
    const at::Tensor tokens = token_tensor(wanted, states.device());
    const at::Tensor sums = at::empty({static_cast<std::int64_t>(rows.size())}, states.options().dtype(at::kDouble));
    std::int64_t begin = 0;
    for (std::size_t i = 0; i < rows.size(); begin += lengths[i++]) {  // logits of one question at a time
      const at::Tensor logits = network().logits(states.narrow(0, begin, lengths[i]));
      const at::Tensor chosen = at::gather(logits, 1, tokens.narrow(0, begin, lengths[i]).unsqueeze(1)).squeeze(1);
      sums[static_cast<std::int64_t>(i)].copy_((chosen - at::logsumexp(logits, {1})).to(at::kDouble).sum());
    }
    answer_scores(rows, sums, responses);
  }

  Settings settings_;
  std::int64_t max_tokens_;
};

std::int64_t check(const ModelFolder& folder, TextCodec&, const Module& module) {
  check_t5(folder, module);
  (void)read_settings(module);
  return token_limit(folder, module, kRerankTokens);
}

}  // namespace

const Kind& upr_kind() {
  static const Kind kind{"upr", open_as<Upr>, check};
  return kind;
}

}  // namespace proctor
