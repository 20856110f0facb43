#include "sharding/protocol/wire.h"

#include "sharding/protocol/error.h"

namespace proctor {
namespace {
constexpr std::size_t kHeaderBytes = 4;
}

std::string frame(std::string_view payload) {
  if (payload.size() > kMaxFrameBytes)
    throw Error(Fault::internal, "frame of " + std::to_string(payload.size()) + " bytes (the bound is " +
                                     std::to_string(kMaxFrameBytes) + ")");
  std::string bytes;
  bytes.reserve(kHeaderBytes + payload.size());
  for (std::size_t i = 0; i < kHeaderBytes; ++i) bytes.push_back(static_cast<char>(payload.size() >> (8 * i) & 0xff));
  return bytes.append(payload);
}

std::optional<std::string> FrameReader::next() {
  if (buffer_.size() - begin_ < kHeaderBytes) return std::nullopt;
  std::uint32_t size = 0;
  for (std::size_t i = 0; i < kHeaderBytes; ++i)
    size |= static_cast<std::uint32_t>(static_cast<unsigned char>(buffer_[begin_ + i])) << (8 * i);
  if (size > kMaxFrameBytes)
    throw Error(Fault::internal, "frame length " + std::to_string(size) + " is past the bound of " +
                                     std::to_string(kMaxFrameBytes) + " bytes; the stream is damaged");
  if (buffer_.size() - begin_ - kHeaderBytes < size) return std::nullopt;
  std::string payload = buffer_.substr(begin_ + kHeaderBytes, size);
  begin_ += kHeaderBytes + size;
  if (begin_ == buffer_.size() || begin_ > (1u << 20)) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  return payload;
}

}  // namespace proctor
