// The kind `cross_encoder`: an encoder with a classification head that reads a query and a passage together, as
// sentence-transformers' CrossEncoder does.
#pragma once

#include <memory>

#include "worker/kinds/kinds.h"

namespace proctor {

std::shared_ptr<OpenModule> open_cross_encoder(const Module& module, Device& device, Communicator& gang,
                                               const Announce& announce);

}  // namespace proctor
