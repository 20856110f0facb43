// Which Python runs the sidecar: the user's word, else the environment that proctor is installed in, else the system's
// with what tools/setup fetched.
#pragma once

#include <string>
#include <vector>

namespace proctor {

struct PythonPlace {
  std::string program;               ///< an executable, or a name on the PATH
  std::string told_by;               ///< "PROCTOR_PYTHON", "the environment that proctor is installed in", ...
  std::vector<std::string> folders;  ///< to be looked for modules in, before its own
  std::string package = {};          ///< of them, the one that has the package proctor alone; "": it is installed
};

/// `asked`: machine.python of the suite, or "".
PythonPlace find_python(const std::string& asked);

}  // namespace proctor
