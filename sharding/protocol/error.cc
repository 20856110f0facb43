#include "sharding/protocol/error.h"

#include <cstdio>
#include <cstdlib>

namespace proctor {

int exit_code(Fault fault) {
  switch (fault) {
    case Fault::usage:
      return 2;
    case Fault::environment:
      return 4;
    case Fault::input:
      return 5;
    case Fault::internal:
      break;
  }
  return 1;
}

std::string to_string(Fault fault) {
  switch (fault) {
    case Fault::usage:
      return "usage";
    case Fault::environment:
      return "environment";
    case Fault::input:
      return "input";
    case Fault::internal:
      break;
  }
  return "internal";
}

Fault fault_from(const std::string& name) {
  for (Fault fault : {Fault::usage, Fault::environment, Fault::input})
    if (to_string(fault) == name) return fault;
  return Fault::internal;
}

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  std::fprintf(stderr, "%s:%d: check failed: %s: %s\n", file, line, condition, message.c_str());
  std::abort();
}

}  // namespace proctor
