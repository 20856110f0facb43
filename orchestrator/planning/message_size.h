// How many requests one message to a worker holds (sharding/protocol/wire.h bounds it).
#pragma once

#include <cstddef>
#include <span>

#include "sharding/protocol/request.h"
#include "sharding/protocol/wire.h"

namespace proctor {

/// Of texts, in one message: what is left of a frame beside everything else that stands in it.
inline constexpr std::size_t kMostMessageBytes = kMaxFrameBytes - (16u << 20);

/// Bytes of the texts, and of what each request has around them.
inline std::size_t message_bytes(std::span<const Request> requests) {
  constexpr std::size_t kAround = 256;
  std::size_t bytes = 0;
  for (const Request& request : requests) {
    bytes += kAround;
    for (const Part& part : request.parts) {
      const auto* image = std::get_if<Image>(&part);
      bytes += image ? kAround + image->path.size() : text_bytes(part);
    }
  }
  return bytes;
}

}  // namespace proctor
