// The one Python process at rank 0 (python/proctor/sidecar.py): chat templates. It is asked one thing at a time, has a
// deadline for each, and is killed where it breaches it; it decides nothing. One thread uses it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "orchestrator/base/signals.h"
#include "orchestrator/sidecar/python_place.h"
#include "sharding/protocol/descriptor.h"

namespace proctor {

class Sidecar {
 public:
  using Json = nlohmann::ordered_json;
  /// Starts it. Throws EnvironmentError where there is no such Python, or jinja2 is missing: which Python, who named
  /// it, what to install.
  explicit Sidecar(PythonPlace place);
  ~Sidecar();
  Sidecar(const Sidecar&) = delete;  // one process
  Sidecar& operator=(const Sidecar&) = delete;

  /// The answer to a request. Throws InputError for what the request itself is to blame for, `what` before it, and for
  /// a deadline or memory that it breached; EnvironmentError where the process ended.
  Json ask(const Json& request, const std::string& what, std::chrono::duration<double> deadline);

 private:
  void end();
  std::string exchange(const std::string& line, const std::string& what, std::chrono::duration<double> deadline);

  PythonPlace place_;
  Descriptor to_, from_, errors_;
  std::unique_ptr<EndsWithUs> child_;
  std::string rest_;  // read, behind the last answer
};

}  // namespace proctor
