// A unit of work that can be waited for, announced before it is begun: what the orchestrator's watchdog counts, and how
// it knows which batch a worker died in.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace proctor {

struct ProgressUnit {
  ProgressUnit(std::string what) : text(std::move(what)) {}  // NOLINT(google-explicit-constructor): announce("read x")
  ProgressUnit(const char* what) : text(what) {}             // NOLINT(google-explicit-constructor)
  ProgressUnit(std::string what, std::uint32_t which, std::vector<std::uint32_t> members)
      : text(std::move(what)), batch(which), requests(std::move(members)) {}

  std::string text;
  std::optional<std::uint32_t> batch;   ///< a batch of the shard begins, counted from 0
  std::vector<std::uint32_t> requests;  ///< that it computes: indices into the shard's
};

using Announce = std::function<void(const ProgressUnit& unit)>;

}  // namespace proctor
