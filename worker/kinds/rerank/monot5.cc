// monoT5 (Nogueira et al. 2020, arXiv:2003.06713): how likely T5 says "true" rather than "false" of a query and a
// passage. Templates and tokens as pygaggle has them.
#include <ATen/TensorOperators.h>
#include <ATen/ops/softmax.h>

#include <algorithm>

#include "worker/kinds/options.h"
#include "worker/kinds/seq2seq_module.h"

namespace proctor {
namespace {

constexpr std::size_t kGenerated = 20;  // tokens, the first included: generate()'s max_length

struct Settings {
  bool autorag = false;
  std::int32_t no = 0, yes = 0;
};

/// The tokens for "false" and "true": multilingual T5 was trained with others (option tokens: [false's, true's]).
Settings read_settings(const ModelFolder& folder, TextCodec& codec, const Module& module) {
  const bool multilingual = folder.architecture.starts_with("MT5");
  const std::vector<std::string> usual =
      multilingual ? std::vector<std::string>{"▁no", "▁yes"} : std::vector<std::string>{"▁false", "▁true"};
  const auto tokens = option(module, "tokens", usual);
  if (tokens.size() != 2) refuse_option(module, "tokens: expected two, false's and true's");
  Settings settings{as_autorag(module), codec.id(tokens[0]), codec.id(tokens[1])};
  for (const auto& [token, id] : {std::pair(tokens[0], settings.no), std::pair(tokens[1], settings.yes)})
    if (id < 0 || id >= folder.vocabulary())
      refuse(module, folder.path + " has no token '" + token + "' (option tokens names others)");
  return settings;
}

class MonoT5 final : public Seq2SeqModule {
 public:
  MonoT5(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : Seq2SeqModule(module, device, gang, announce),
        settings_(read_settings(folder(), codec(), module)),
        max_tokens_(token_limit(folder(), module, kRerankTokens)) {}

 private:
  /// AutoRAG leaves out the last words, which the model was trained with.
  TextRow row_of(const Request& request) override {
    const std::string text = "Query: " + text_of(request, 0) + " Document: " + text_of(request, 1);
    return {
        codec().encode_at_most(settings_.autorag ? text : text + " Relevant:", static_cast<std::size_t>(max_tokens_)),
        {}};
  }

  void compute(std::span<const TextRow> rows, std::vector<Response>& responses) const override {
    const PackedRows all = packed(rows);
    const at::Tensor states = network().encode(all.tokens, all.lengths);
    if (settings_.autorag) {
      std::int64_t begin = 0;
      for (std::size_t i = 0; i < rows.size(); begin += all.lengths[i++])
        answer_scores(rows.subspan(i, 1), share_of_yes(last_states(states.narrow(0, begin, all.lengths[i]))),
                      responses);
      return;
    }
    const Tokens start(rows.size(), network().config().start_token);
    const std::vector<std::int64_t> ones(rows.size(), 1);
    answer_scores(rows, share_of_yes(network().decode(start, ones, {states, all.lengths})), responses);
  }

  /// decode()'s states [rows, hidden] -> [rows]
  at::Tensor share_of_yes(const at::Tensor& states) const {
    return at::softmax(network().logits_of(states, {settings_.no, settings_.yes}), 1).select(1, 1);
  }

  /// What AutoRAG takes the logits of: the last step of greedy generation, mostly that of the end token. Its batches go
  /// on until their slowest row ends; here each text ends by itself, so that no other one matters. [1, hidden]
  at::Tensor last_states(const at::Tensor& states) const {
    const Tokens& ends = folder().generation.eos_ids;
    Seq2Seq::Written written = network().begin({states, {states.size(0)}}, kGenerated);
    Tokens next = {network().config().start_token};
    for (;;) {
      const at::Tensor last = network().step(written, next);
      at::Tensor best = network().logits(last).argmax(1);
      gang().broadcast(best, 0);  // that all members end together
      next[0] = static_cast<std::int32_t>(best.item<std::int64_t>());
      if (std::ranges::find(ends, next[0]) != ends.end() || written.length + 1 == kGenerated) return last;
    }
  }

  Settings settings_;
  std::int64_t max_tokens_;
};

std::int64_t check(const ModelFolder& folder, TextCodec& codec, const Module& module) {
  check_t5(folder, module);
  (void)read_settings(folder, codec, module);
  return token_limit(folder, module, kRerankTokens);
}

}  // namespace

const Kind& monot5_kind() {
  static const Kind kind{"monot5", open_as<MonoT5>, check};
  return kind;
}

}  // namespace proctor
