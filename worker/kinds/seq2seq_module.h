// What the kinds over T5 have in common. Compute thread only.
#pragma once

#include "worker/kinds/options.h"
#include "worker/kinds/text_module.h"
#include "worker/models/seq2seq.h"

namespace proctor {

class Seq2SeqModule : public TextModule {
 public:
  Seq2SeqModule(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : TextModule(module, device, gang, announce), gang_(gang), network_(*folder().seq2seq, weights(), gang) {}

  Computed computed() const final { return {network_.tokens_computed(), network_.flops_computed(), tokenize_s_}; }

 protected:
  const Seq2Seq& network() const { return network_; }
  Communicator& gang() const { return gang_; }

 private:
  Communicator& gang_;
  Seq2Seq network_;
};

constexpr std::int64_t kRerankTokens = 512;  ///< of a text, where the module does not say

/// What every kind over T5 refuses.
inline void check_t5(const ModelFolder& folder, const Module& module) {
  refuse_bos(module);
  refuse_float16(folder, module);
}

}  // namespace proctor
