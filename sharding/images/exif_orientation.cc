#include "sharding/images/exif_orientation.h"

#include "sharding/images/byte_fields.h"

namespace proctor {
namespace {

constexpr std::size_t kEntryBytes = 12;
constexpr std::uint32_t kOrientation = 0x0112, kShort = 3, kLong = 4;

}  // namespace

int exif_orientation(std::string_view tiff) {
  const ByteFields fields(tiff);
  const bool little = fields.starts_with({"II*\0", 4}), big = fields.starts_with({"MM\0*", 4});
  if (!fields.has(0, 8) || !(little || big)) return 1;
  const auto number = [&](std::size_t at, std::size_t count) {
    return little ? fields.little(at, count) : fields.big(at, count);
  };
  const std::size_t directory = number(4, 4);
  if (!fields.has(directory, 2)) return 1;
  const std::size_t entries = number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + i * kEntryBytes;
    if (!fields.has(at, kEntryBytes)) return 1;
    const std::uint32_t type = number(at + 2, 2);
    if (number(at, 2) != kOrientation || (type != kShort && type != kLong)) continue;
    const std::uint32_t value = number(at + 8, type == kShort ? 2 : 4);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace proctor
