// What the kinds over T5 have in common. Compute thread only.
#pragma once

#include "worker/kinds/text_module.h"
#include "worker/models/t5.h"

namespace proctor {

class T5Module : public TextModule {
 public:
  T5Module(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : TextModule(module, device, gang, announce), t5_(*folder().t5, weights(), gang) {}

  Computed computed() const final { return {t5_.tokens_computed(), t5_.flops_computed(), tokenize_s_}; }

 protected:
  const T5& t5() const { return t5_; }

 private:
  T5 t5_;
};

}  // namespace proctor
