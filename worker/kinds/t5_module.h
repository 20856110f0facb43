// What the kinds over T5 have in common. Compute thread only.
#pragma once

#include "worker/kinds/options.h"
#include "worker/kinds/text_module.h"
#include "worker/models/t5.h"

namespace proctor {

class T5Module : public TextModule {
 public:
  T5Module(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : TextModule(module, device, gang, announce), gang_(gang), t5_(*folder().t5, weights(), gang) {}

  Computed computed() const final { return {t5_.tokens_computed(), t5_.flops_computed(), tokenize_s_}; }

 protected:
  const T5& t5() const { return t5_; }
  Communicator& gang() const { return gang_; }

 private:
  Communicator& gang_;
  T5 t5_;
};

constexpr std::int64_t kRerankTokens = 512;  ///< of a text, where the module does not say

/// What every kind over T5 refuses.
inline void check_t5(const ModelFolder& folder, const Module& module) {
  refuse_bos(module);
  refuse_float16(folder, module);
}

}  // namespace proctor
