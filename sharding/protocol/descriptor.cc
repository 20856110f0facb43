#include "sharding/protocol/descriptor.h"

#include <unistd.h>

namespace proctor {

Descriptor::~Descriptor() {
  if (value_ >= 0) ::close(value_);
}

}  // namespace proctor
