// Numbers out of a file's bytes, each checked against its end.
#pragma once

#include <cstdint>
#include <string_view>

namespace proctor {

/// Views: the bytes must outlive it.
class ByteFields {
 public:
  explicit ByteFields(std::string_view bytes) : bytes_(bytes) {}

  std::size_t size() const { return bytes_.size(); }
  bool has(std::size_t at, std::size_t count) const { return at <= bytes_.size() && count <= bytes_.size() - at; }
  bool starts_with(std::string_view text) const { return bytes_.starts_with(text); }

  /// These throw InputError where the bytes end before that.
  std::string_view text(std::size_t at, std::size_t count) const;
  std::uint8_t byte(std::size_t at) const { return static_cast<std::uint8_t>(text(at, 1)[0]); }
  std::uint32_t little(std::size_t at, std::size_t count) const;  ///< count: 1 to 4 bytes
  std::uint32_t big(std::size_t at, std::size_t count) const;

 private:
  std::string_view bytes_;
};

}  // namespace proctor
