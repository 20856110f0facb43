#include "sharding/protocol/channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "sharding/protocol/error.h"

namespace proctor {

bool Channel::send(std::string_view payload) {
  const std::string bytes = frame(payload);
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(descriptor(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
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
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control;
    iovec bytes{chunk.data(), chunk.size()};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t n = ::recvmsg(descriptor(), &message, MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::nullopt;
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
      if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
      int received = -1;
      std::memcpy(&received, CMSG_DATA(part), sizeof received);
      received_.emplace_back(received);
    }
    reader_.feed({chunk.data(), static_cast<std::size_t>(n)});
  }
}

std::optional<Descriptor> Channel::take_descriptor() {
  if (received_.empty()) return std::nullopt;
  Descriptor first = std::move(received_.front());
  received_.pop_front();
  return first;
}

bool Channel::post(std::string_view payload, int attached) {
  if (attached >= 0) attached_.push_back({outbox_.size(), Descriptor(::fcntl(attached, F_DUPFD_CLOEXEC, 3))});
  outbox_ += frame(payload);
  return flush();
}

/// A descriptor arrives with the first of the bytes it is sent with.
long Channel::write_some(std::string_view bytes, int attached) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (attached >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &attached, sizeof attached);
  }
  return ::sendmsg(descriptor(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool Channel::flush() {
  std::size_t sent = 0;
  bool open = true;
  while (sent < outbox_.size()) {
    const bool with = !attached_.empty() && attached_.front().offset == sent;
    const std::size_t next = with ? (attached_.size() > 1 ? attached_[1].offset : outbox_.size())
                                  : (attached_.empty() ? outbox_.size() : attached_.front().offset);
    const auto n = write_some(std::string_view(outbox_).substr(sent, next - sent),
                              with ? attached_.front().descriptor.value() : -1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      open = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
      break;
    }
    if (with) attached_.pop_front();
    sent += static_cast<std::size_t>(n);
  }
  outbox_.erase(0, sent);
  for (Attached& waiting : attached_) waiting.offset -= sent;
  return open;
}

bool Channel::fill() {
  std::array<char, 65536> chunk;
  for (;;) {
    const ssize_t n = ::recv(descriptor(), chunk.data(), chunk.size(), MSG_DONTWAIT);
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
