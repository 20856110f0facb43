#include "worker/images/decode.h"

#include "worker/images/decoders.h"
#include "worker/images/upright.h"

namespace proctor {
namespace {

Picture decode_as_stored(std::string_view bytes, const ImageHeader& header) {
  switch (header.kind) {
    case ImageKind::jpeg:
      return decode_jpeg(bytes, header);
    case ImageKind::png:
      return decode_png(bytes, header);
    case ImageKind::webp:
      return decode_webp(bytes, header);
    case ImageKind::gif:
      return decode_gif(bytes, header);
    case ImageKind::bmp:
      break;
  }
  return decode_bmp(bytes, header);
}

}  // namespace

Picture decode_image(std::string_view bytes, bool upright) {
  const ImageHeader header = read_image_header(bytes);
  Picture picture = decode_as_stored(bytes, header);
  return upright && header.orientation != 1 ? turned_upright(picture, header.orientation) : picture;
}

}  // namespace proctor
