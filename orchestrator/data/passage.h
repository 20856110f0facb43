// A passage of a corpus, as a task's template writes it.
#pragma once

#include <string>

namespace proctor {

struct Passage {
  std::string id, text;
};

}  // namespace proctor
