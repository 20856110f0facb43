// `proctor --version`: what this proctor is, what it was built with, and what it finds on this machine.
#pragma once

#include <iosfwd>

namespace proctor {

/// First line: "proctor X.Y.Z". What cannot be found is said in its line; nothing is thrown.
void print_version(std::ostream& out);

}  // namespace proctor
