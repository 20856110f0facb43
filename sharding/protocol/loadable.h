// The parts of proctor that are opened at run time, because what they are linked to is not on every machine.
#pragma once

#include <string>

namespace proctor {

/// The file of a module (libproctor_mpi.so): beside this process's binary, or in lib/proctor of the same prefix.
std::string module_path(const std::string& file);

}  // namespace proctor
