// JPEG (ITU T.81, annex B): markers, each FF and a code, most with a length; the frame header has the size.
#include "sharding/images/exif_orientation.h"
#include "sharding/images/format_headers.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr std::uint8_t kStartOfScan = 0xDA, kEndOfImage = 0xD9, kApp1 = 0xE1, kTem = 0x01;
constexpr std::string_view kExif{"Exif\0\0", 6};

bool has_no_length(std::uint8_t marker) { return marker == kTem || (marker >= 0xD0 && marker <= 0xD8); }

/// SOF0 to SOF15, but for DHT, JPG and DAC, which stand between them.
bool is_frame(std::uint8_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

}  // namespace

ImageHeader read_jpeg_header(const ByteFields& file) {
  ImageHeader header{.kind = ImageKind::jpeg};
  bool has_exif = false;
  for (std::size_t at = 2;;) {
    while (file.byte(at) != 0xFF) ++at;  // libjpeg passes over what stands between segments
    while (file.byte(at) == 0xFF) ++at;
    const std::uint8_t marker = file.byte(at++);
    if (marker == 0 || has_no_length(marker)) continue;
    if (marker == kStartOfScan || marker == kEndOfImage) throw InputError("a JPEG without a frame header");
    const std::size_t length = file.big(at, 2);
    if (length < 2) throw InputError("a JPEG with a segment of " + std::to_string(length) + " bytes");
    if (is_frame(marker)) {
      header.height = file.big(at + 3, 2), header.width = file.big(at + 5, 2);
      return header;
    }
    if (marker == kApp1 && !has_exif) {
      const std::string_view segment = file.text(at + 2, length - 2);
      has_exif = segment.starts_with(kExif);
      if (has_exif) header.orientation = exif_orientation(segment.substr(kExif.size()));
    }
    at += length;
  }
}

}  // namespace proctor
