// The memory that a gang of CPU workers shares: made by their agent, laid out by worker/communicator_shared_memory.
#pragma once

#include <cstdint>

namespace proctor {

inline constexpr std::uint32_t kMaxGangMembers = 64;
inline constexpr std::uint64_t kGangControlBytes = 16u << 10;
inline constexpr std::uint64_t kGangBufferBytes = 4u << 20;  ///< two of them a member; pages are taken when touched

constexpr std::uint64_t gang_memory_bytes(std::uint32_t members) {
  return kGangControlBytes + 2ull * members * kGangBufferBytes;
}

}  // namespace proctor
