// What runs in a worker's slot: proctor's own worker, or a guest engine that speaks its protocol
// (docs/engine-protocol.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace proctor {

/// A guest's command; `serve` and its options come behind it.
struct Program {
  std::vector<std::string> command;
  std::vector<std::string> environment = {};  ///< "NAME=value", beside what workers get
  bool operator==(const Program&) const = default;
};

/// What serves in a slot: program 0 is proctor's worker, the others are numbered by the run. A guest drives `width`
/// devices, its slot's and the next ones.
struct Occupant {
  std::uint32_t program = 0, width = 1;
  bool is_guest() const { return program > 0; }
  bool operator==(const Occupant&) const = default;
};

}  // namespace proctor
