#include "sharding/channel.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "sharding/error.h"

namespace proctor {

Channel::~Channel() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool Channel::send(std::string_view payload) {
  const std::string bytes = frame(payload);
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(descriptor_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    sent += static_cast<std::size_t>(n);
  }
  return true;
}

std::optional<std::string> Channel::receive() {
  std::array<char, 65536> chunk;
  for (;;) {
    if (auto payload = reader_.next()) return payload;
    const ssize_t n = ::recv(descriptor_, chunk.data(), chunk.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::nullopt;
    reader_.feed({chunk.data(), static_cast<std::size_t>(n)});
  }
}

bool Channel::post(std::string_view payload) {
  outbox_ += frame(payload);
  return flush();
}

bool Channel::flush() {
  std::size_t sent = 0;
  while (sent < outbox_.size()) {
    const ssize_t n = ::send(descriptor_, outbox_.data() + sent, outbox_.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (n <= 0) return false;
    sent += static_cast<std::size_t>(n);
  }
  outbox_.erase(0, sent);
  return true;
}

bool Channel::fill() {
  std::array<char, 65536> chunk;
  for (;;) {
    const ssize_t n = ::recv(descriptor_, chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    if (n == 0) return false;
    reader_.feed({chunk.data(), static_cast<std::size_t>(n)});
  }
}

std::pair<Channel, Channel> make_channel_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw EnvironmentError(std::string("socketpair: ") + std::strerror(errno));
  return {Channel(ends[0]), Channel(ends[1])};
}

}  // namespace proctor
