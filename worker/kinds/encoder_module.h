// What the kinds over a bidirectional encoder have in common. Compute thread only.
#pragma once

#include "worker/kinds/text_module.h"
#include "worker/models/encoder.h"

namespace proctor {

class EncoderModule : public TextModule {
 public:
  EncoderModule(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : TextModule(module, device, gang, announce), encoder_(*folder().encoder, weights(), gang) {}

  Computed computed() const final { return {encoder_.tokens_computed(), encoder_.flops_computed(), tokenize_s_}; }

 protected:
  const Encoder& encoder() const { return encoder_; }
  /// The last layer's states of the rows, one after another, [tokens, hidden].
  at::Tensor states_of(const PackedRows& rows) const {
    return encoder_.forward(rows.tokens, rows.types, rows.lengths, rows.attended);
  }
  /// Of the rows' first tokens, [rows, hidden].
  at::Tensor first_states_of(const PackedRows& rows) const {
    return encoder_.forward_first(rows.tokens, rows.types, rows.lengths);
  }

 private:
  Encoder encoder_;
};

}  // namespace proctor
