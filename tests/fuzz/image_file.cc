// Any bytes as an image file: a picture of the header's sides, or an InputError.
#include <cstdint>
#include <cstdlib>

#include "sharding/images/image_header.h"
#include "sharding/protocol/error.h"
#include "worker/images/decode.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const proctor::ImageHeader header = proctor::read_image_header(bytes);
    if (header.height * header.width > 1 << 20) return 0;  // decoded as well, but slowly
    const proctor::Picture picture = proctor::decode_image(bytes, true);
    const bool swaps = header.swaps_sides();
    if (picture.height != (swaps ? header.width : header.height)) std::abort();
    if (picture.width != (swaps ? header.height : header.width)) std::abort();
    if (picture.rgb.size() != static_cast<std::size_t>(3 * picture.height * picture.width)) std::abort();
  } catch (const proctor::InputError&) {
  }
  return 0;
}
