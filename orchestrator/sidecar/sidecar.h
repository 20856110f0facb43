// The one Python process at rank 0 (python/proctor/sidecar.py): chat templates, Parquet. It is asked one thing at a
// time, has a deadline for each, and is killed where it breaches it; it decides nothing. One thread uses it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "orchestrator/base/signals.h"
#include "orchestrator/sidecar/python_place.h"
#include "sharding/protocol/descriptor.h"

namespace proctor {

class Sidecar {
 public:
  using Json = nlohmann::ordered_json;
  /// Starts it: `module` of the package, which speaks as proctor.sidecar does. Throws EnvironmentError where there is
  /// no such Python, or it cannot run the package: which Python, who named it; `what` needs it.
  Sidecar(PythonPlace place, const std::string& what, const std::string& module = "proctor.sidecar");
  ~Sidecar();
  Sidecar(const Sidecar&) = delete;  // one process
  Sidecar& operator=(const Sidecar&) = delete;

  /// The answer to a request. Throws InputError for what the request itself is to blame for, `what` before it, and for
  /// a deadline or memory that it breached; EnvironmentError where the process ended, or lacks a package: what to
  /// install.
  Json ask(const Json& request, const std::string& what, std::chrono::duration<double> deadline);
  bool has_ended() const { return !child_; }

 private:
  void end();
  std::string who() const { return place_.program + " (" + place_.told_by + ")"; }
  std::string exchange(const std::string& line, const std::string& what, std::chrono::duration<double> deadline);

  PythonPlace place_;
  Descriptor to_, from_, errors_;
  std::unique_ptr<EndsWithUs> child_;
  std::string rest_;  // read, behind the last answer
};

/// A run's sidecar, started when it is first needed, and anew after it was ended. Any thread, one at a time.
class LazySidecar {
 public:
  /// `python`: machine.python of the suite, or "".
  explicit LazySidecar(std::string python) : python_(std::move(python)) {}
  Sidecar::Json ask(const Sidecar::Json& request, const std::string& what, std::chrono::duration<double> deadline);

 private:
  std::string python_;
  std::mutex mutex_;
  std::unique_ptr<Sidecar> sidecar_;
};

}  // namespace proctor
