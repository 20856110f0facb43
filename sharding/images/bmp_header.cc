// BMP: a file header of 14 bytes, then OS/2's information header (12 bytes, 16-bit sides) or one of Windows'.
#include "sharding/images/format_headers.h"
#include "sharding/protocol/error.h"

namespace proctor {

ImageHeader read_bmp_header(const ByteFields& file) {
  ImageHeader header{.kind = ImageKind::bmp};
  const std::uint32_t size = file.little(14, 4);
  if (size == 12) {
    header.width = file.little(18, 2), header.height = file.little(20, 2);
    return header;
  }
  if (size < 40) throw InputError("a BMP with an information header of " + std::to_string(size) + " bytes");
  header.width = static_cast<std::int32_t>(file.little(18, 4));
  header.height = static_cast<std::int32_t>(file.little(22, 4));
  if (header.height < 0) header.height = -header.height;  // rows from the top
  return header;
}

}  // namespace proctor
