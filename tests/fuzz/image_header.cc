// Any bytes as the beginning of an image file: sides within the limits, or an InputError.
#include "sharding/images/image_header.h"

#include <cstdint>
#include <cstdlib>

#include "sharding/protocol/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const proctor::ImageHeader header = proctor::read_image_header({reinterpret_cast<const char*>(data), size});
    if (header.height < 1 || header.width < 1 || header.height * header.width > proctor::kMaxPixels) std::abort();
    if (header.orientation < 1 || header.orientation > 8) std::abort();
  } catch (const proctor::InputError&) {
  }
  return 0;
}
