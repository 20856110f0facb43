// The kind `generator` over an encoder with a decoder.
#pragma once

#include <memory>

#include "worker/kinds/kinds.h"

namespace proctor {

/// As Kind's.
std::shared_ptr<OpenModule> open_seq2seq_generator(const Module& module, Device& device, Communicator& gang,
                                                   const Announce& announce);
std::int64_t check_seq2seq_generator(const ModelFolder& folder, const Module& module);

}  // namespace proctor
