// PNG: a signature, then chunks of a length, a name, the content and a CRC; IHDR comes first.
#include "sharding/images/exif_orientation.h"
#include "sharding/images/format_headers.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr std::size_t kSignatureBytes = 8, kChunkBytes = 12;

/// Pillow finds the chunk behind the pixels too.
int find_orientation(const ByteFields& file) {
  for (std::size_t at = kSignatureBytes; file.has(at, kChunkBytes);) {
    const std::size_t length = file.big(at, 4);
    if (!file.has(at + 8, length)) return 1;
    if (file.text(at + 4, 4) == "eXIf") return exif_orientation(file.text(at + 8, length));
    at += kChunkBytes + length;
  }
  return 1;
}

}  // namespace

ImageHeader read_png_header(const ByteFields& file) {
  if (file.text(kSignatureBytes + 4, 4) != "IHDR") throw InputError("a PNG without an IHDR chunk at its beginning");
  ImageHeader header{.kind = ImageKind::png};
  header.width = file.big(kSignatureBytes + 8, 4), header.height = file.big(kSignatureBytes + 12, 4);
  header.orientation = find_orientation(file);
  return header;
}

}  // namespace proctor
