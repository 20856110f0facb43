#include "sharding/images/byte_fields.h"

#include <string>

#include "sharding/protocol/error.h"

namespace proctor {

std::string_view ByteFields::text(std::size_t at, std::size_t count) const {
  if (!has(at, count)) throw InputError("the image's header breaks off at byte " + std::to_string(bytes_.size()));
  return bytes_.substr(at, count);
}

std::uint32_t ByteFields::little(std::size_t at, std::size_t count) const {
  std::uint32_t value = 0;
  for (const char c : text(at, count))
    value = value >> 8 | static_cast<std::uint32_t>(static_cast<std::uint8_t>(c)) << 24;
  return value >> 8 * (4 - count);
}

std::uint32_t ByteFields::big(std::size_t at, std::size_t count) const {
  std::uint32_t value = 0;
  for (const char c : text(at, count)) value = value << 8 | static_cast<std::uint8_t>(c);
  return value;
}

}  // namespace proctor
