#include "sharding/protocol/facts.h"

#include <algorithm>

namespace proctor {

bool EngineFacts::promises_to_be(const std::string& what) const {
  return std::ranges::find(promises, what) != promises.end();
}

}  // namespace proctor
