// The kind `embedding`: an encoder whose token states are pooled to one vector a text, as sentence-transformers does.
#pragma once

#include <memory>

#include "worker/kinds/kinds.h"

namespace proctor {

std::shared_ptr<OpenModule> open_embedding(const Module& module, Device& device, Communicator& gang,
                                           const Announce& announce);

}  // namespace proctor
