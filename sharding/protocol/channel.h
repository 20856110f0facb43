// A stream socket that carries frames, and with a frame a file descriptor. Owns its descriptor. The agent's end is
// non-blocking with an outbox; the worker's end blocks. One thread sends, one thread receives.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "sharding/protocol/descriptor.h"
#include "sharding/protocol/wire.h"

namespace proctor {

class Channel {
 public:
  explicit Channel(int descriptor) : descriptor_(descriptor) {}

  int descriptor() const { return descriptor_.value(); }

  /// Blocks until all is written; false if the peer is gone.
  [[nodiscard]] bool send(std::string_view payload);
  /// Blocks for the next frame; nullopt at end of stream.
  std::optional<std::string> receive();
  /// Descriptors in the order they were sent; each is here at the latest with its frame.
  std::optional<Descriptor> take_descriptor();

  /// Queues a frame and writes what the socket takes now; false if the peer is gone. `attached` (none: -1) is
  /// duplicated here and arrives with the frame.
  [[nodiscard]] bool post(std::string_view payload, int attached = -1);
  [[nodiscard]] bool flush();
  bool has_unsent() const { return !outbox_.empty(); }
  /// Reads what is there without waiting; false at end of stream. Then take() gives the frames.
  [[nodiscard]] bool fill();
  std::optional<std::string> take() { return reader_.next(); }

 private:
  struct Attached {
    std::size_t offset;  // in outbox_, of the frame it belongs to
    Descriptor descriptor;
  };
  long write_some(std::string_view bytes, int attached);

  Descriptor descriptor_;
  FrameReader reader_;
  std::string outbox_;
  std::deque<Attached> attached_;
  std::deque<Descriptor> received_;
};

/// Two connected ends, close-on-exec. Throws Error(environment).
std::pair<Channel, Channel> make_channel_pair();

}  // namespace proctor
