#include "orchestrator/base/tell.h"

#include <cstdio>

namespace proctor {

void tell(const std::string& message) { std::fprintf(stderr, "%s\n", message.c_str()); }

}  // namespace proctor
