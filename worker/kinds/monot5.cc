// monoT5 (Nogueira et al. 2020, arXiv:2003.06713): how likely T5 says "true" rather than "false" of a query and a
// passage. Templates and tokens as pygaggle has them.
#include <ATen/TensorOperators.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>

#include <algorithm>

#include "worker/kinds/options.h"
#include "worker/kinds/t5_module.h"

namespace proctor {
namespace {

constexpr std::size_t kGenerated = 20;  // tokens, the first included: generate()'s max_length

struct Settings {
  bool autorag = false;
  std::int32_t no = 0, yes = 0;
};

/// The tokens for "false" and "true": multilingual T5 was trained with others (option tokens: [false's, true's]).
Settings read_settings(const ModelFolder& folder, const Module& module, const TextCodec& codec) {
  const bool multilingual = folder.architecture.starts_with("MT5");
  const std::vector<std::string> usual =
      multilingual ? std::vector<std::string>{"▁no", "▁yes"} : std::vector<std::string>{"▁false", "▁true"};
  const auto tokens = option(module, "tokens", usual);
  if (tokens.size() != 2)
    throw InputError("module " + module.name + ": option tokens: expected two, false's and true's");
  Settings settings{as_autorag(module), codec.id(tokens[0]), codec.id(tokens[1])};
  for (const auto& [token, id] : {std::pair(tokens[0], settings.no), std::pair(tokens[1], settings.yes)})
    if (id < 0 || id >= folder.vocabulary())
      throw InputError("module " + module.name + ": " + folder.path + " has no token '" + token +
                       "' (option tokens names others)");
  return settings;
}

class MonoT5 final : public T5Module {
 public:
  MonoT5(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : T5Module(module, device, gang, announce),
        settings_(read_settings(folder(), module, codec())),
        max_tokens_(module.max_length.value_or(512)) {}

 private:
  /// AutoRAG leaves out the last words, which the model was trained with.
  TextRow row_of(const Request& request) override {
    const std::string text = "Query: " + request.parts.at(0) + " Document: " + request.parts.at(1);
    return {
        codec().encode_at_most(settings_.autorag ? text : text + " Relevant:", static_cast<std::size_t>(max_tokens_)),
        {}};
  }

  void compute(std::span<const TextRow> rows, std::vector<Response>& responses) const override {
    const PackedRows all = packed(rows);
    const at::Tensor states = t5().encode(all.tokens, all.lengths);
    if (settings_.autorag) {
      std::int64_t begin = 0;
      for (std::size_t i = 0; i < rows.size(); begin += all.lengths[i++])
        answer_scores(rows.subspan(i, 1), share_of_yes(last_logits(states.narrow(0, begin, all.lengths[i]))),
                      responses);
      return;
    }
    const std::vector<std::int32_t> start(rows.size(), t5().config().start_token);
    const std::vector<std::int64_t> ones(rows.size(), 1);
    answer_scores(rows, share_of_yes(t5().logits(t5().decode(start, ones, states, all.lengths))), responses);
  }

  /// [rows, vocabulary] -> [rows]
  at::Tensor share_of_yes(const at::Tensor& logits) const {
    return at::softmax(at::stack({logits.select(1, settings_.no), logits.select(1, settings_.yes)}, 1), 1).select(1, 1);
  }

  /// As AutoRAG takes them: of the last step of greedy generation, mostly that of the end token. Its batches go on
  /// until their slowest row ends; here each text ends by itself, so that no other one matters. [1, vocabulary]
  at::Tensor last_logits(const at::Tensor& states) const {
    const std::int64_t length = states.size(0);
    std::vector<std::int32_t> tokens = {t5().config().start_token};
    for (;;) {
      const auto count = static_cast<std::int64_t>(tokens.size());
      const at::Tensor logits =
          t5().logits(t5().decode(tokens, {&count, 1}, states, {&length, 1}).narrow(0, count - 1, 1));
      tokens.push_back(static_cast<std::int32_t>(logits.argmax().item<std::int64_t>()));
      const bool ended =
          std::ranges::find(folder().generation.eos_ids, tokens.back()) != folder().generation.eos_ids.end();
      if (ended || tokens.size() == kGenerated) return logits;
    }
  }

  Settings settings_;
  std::int64_t max_tokens_;
};

void check(const ModelFolder& folder, const Module& module) {
  (void)read_settings(folder, module, TextCodec(folder, std::nullopt));
}

}  // namespace

const Kind& monot5_kind() {
  static const Kind kind{"monot5", {"score_pair"}, open_as<MonoT5>, check};
  return kind;
}

}  // namespace proctor
