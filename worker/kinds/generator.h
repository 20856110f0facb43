// The kind `generator`: a causal language model that scores texts and continues them, as lm-eval's `hf` model does.
#pragma once

#include <memory>

#include "worker/kinds/kinds.h"

namespace proctor {

std::shared_ptr<OpenModule> open_generator(const Module& module, Device& device, Communicator& gang,
                                           const Announce& announce);

}  // namespace proctor
