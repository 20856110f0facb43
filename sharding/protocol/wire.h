// Frames on a byte stream: a 4-byte little-endian length, then that many bytes. Bounded, so that a wild length cannot
// ask for memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace proctor {

inline constexpr std::uint32_t kMaxFrameBytes = 256u << 20;

/// Throws Error(internal) past kMaxFrameBytes.
std::string frame(std::string_view payload);

/// Collects bytes as they come; next() gives whole payloads in order.
class FrameReader {
 public:
  void feed(std::string_view bytes) { buffer_.append(bytes); }
  /// nullopt: more bytes are needed. Throws Error(internal) for a length past kMaxFrameBytes.
  std::optional<std::string> next();
  /// True if a frame has begun and not ended: the stream was torn.
  bool torn() const { return buffer_.size() > begin_; }

 private:
  std::string buffer_;
  std::size_t begin_ = 0;
};

}  // namespace proctor
