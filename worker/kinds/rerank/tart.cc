// TART (Asai et al. 2023, arXiv:2211.09260): a T5 encoder with a head judges a passage against an instruction and a
// question.
#include <ATen/ops/softmax.h>

#include "worker/kernels/packed_attention.h"
#include "worker/kernels/token_tensor.h"
#include "worker/kinds/options.h"
#include "worker/kinds/seq2seq_module.h"

namespace proctor {
namespace {

struct Settings {
  std::string instruction = "Find passage to answer given question";
  std::int32_t begin = 0, end = 0;  ///< tokens
};

Settings read_settings(const ModelFolder& folder, TextCodec& codec, const Module& module) {
  Settings settings;
  settings.instruction = option(module, "instruction", settings.instruction);
  settings.begin = codec.id("<s>");
  settings.end = codec.id("</s>");
  for (const auto& [token, id] : {std::pair("<s>", settings.begin), std::pair("</s>", settings.end)})
    if (id < 0 || id >= folder.vocabulary())
      refuse(module, folder.path + " has no token " + token + ", which tart needs");
  if (folder.seq2seq->labels != 2)
    refuse(module, folder.path + ": tart's head has two outputs, this one " + std::to_string(folder.seq2seq->labels));
  return settings;
}

class Tart final : public Seq2SeqModule {
 public:
  Tart(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : Seq2SeqModule(module, device, gang, announce),
        settings_(read_settings(folder(), codec(), module)),
        max_tokens_(token_limit(folder(), module, folder().max_length)) {
    using What = TemplatePart::What;
    const TemplatePart begin{What::special, {settings_.begin}}, end{What::special, {settings_.end}};
    codec().set_pair_template({begin, {What::first, {}}, end, {What::second, {}}, end});
  }

 private:
  /// "[SEP]" is text to T5's tokenizer.
  TextRow row_of(const Request& request) override {
    return {codec().encode_pair_at_most(settings_.instruction + " [SEP] " + text_of(request, 0), text_of(request, 1),
                                        static_cast<std::size_t>(max_tokens_), Truncation::longest_first_python),
            {}};
  }

  void compute(std::span<const TextRow> rows, std::vector<Response>& responses) const override {
    const PackedRows all = packed(rows);
    const at::Tensor states = network().encode(all.tokens, all.lengths);
    const at::Tensor logits =
        network().classify(states.index_select(0, token_tensor(first_tokens(all.lengths), states.device())));
    answer_scores(rows, at::softmax(logits, 1).select(1, 1), responses);
  }

  Settings settings_;
  std::int64_t max_tokens_;
};

std::int64_t check(const ModelFolder& folder, TextCodec& codec, const Module& module) {
  check_t5(folder, module);
  (void)read_settings(folder, codec, module);
  return token_limit(folder, module, folder.max_length);
}

}  // namespace

const Kind& tart_kind() {
  static const Kind kind{"tart", open_as<Tart>, check};
  return kind;
}

}  // namespace proctor
