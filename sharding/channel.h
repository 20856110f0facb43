// A stream socket that carries frames. Owns its descriptor. The agent's end is non-blocking with an outbox; the
// worker's end blocks. One thread sends, one thread receives.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "sharding/wire.h"

namespace proctor {

class Channel {
 public:
  explicit Channel(int descriptor) : descriptor_(descriptor) {}
  ~Channel();
  Channel(Channel&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Channel(const Channel&) = delete;  // one owner of the descriptor
  Channel& operator=(const Channel&) = delete;

  int descriptor() const { return descriptor_; }

  /// Blocks until all is written; false if the peer is gone.
  [[nodiscard]] bool send(std::string_view payload);
  /// Blocks for the next frame; nullopt at end of stream.
  std::optional<std::string> receive();

  /// Queues a frame and writes what the socket takes now; false if the peer is gone.
  [[nodiscard]] bool post(std::string_view payload);
  [[nodiscard]] bool flush();
  bool has_unsent() const { return !outbox_.empty(); }
  /// Reads what is there without waiting; false at end of stream. Then take() gives the frames.
  [[nodiscard]] bool fill();
  std::optional<std::string> take() { return reader_.next(); }

 private:
  int descriptor_;
  FrameReader reader_;
  std::string outbox_;
};

/// Two connected ends, close-on-exec. Throws Error(environment).
std::pair<Channel, Channel> make_channel_pair();

}  // namespace proctor
