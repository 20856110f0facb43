// What one member holds of a visit: the module, its communicator, the counters. Torn down by teardown.h, in its order.
#pragma once

#include <memory>

#include "worker/communicator.h"
#include "worker/kinds/kinds.h"

namespace proctor {

struct Gang {
  std::unique_ptr<Communicator> communicator;
  std::shared_ptr<OpenModule>
      module;                ///< shared only so that teardown can prove by a weak_ptr that nobody else holds it
  std::uint64_t graphs = 0;  ///< CUDA graphs alive
};

}  // namespace proctor
