#include <gif_lib.h>
#include <png.h>
#include <webp/decode.h>

#include "worker/images/decode.h"
#include "worker/images/jpeg_library.h"

namespace proctor {
namespace {

/// 0x010204 -> 1.2.4
std::string from_hex(int version) {
  return std::to_string(version >> 16) + "." + std::to_string(version >> 8 & 255) + "." + std::to_string(version & 255);
}

std::string jpeg_version() {
#ifdef LIBJPEG_TURBO_VERSION_NUMBER
  constexpr int kVersion = LIBJPEG_TURBO_VERSION_NUMBER;  // 2001005 is 2.1.5
  return "libjpeg-turbo " + std::to_string(kVersion / 1000000) + "." + std::to_string(kVersion / 1000 % 1000) + "." +
         std::to_string(kVersion % 1000);
#else
  return "libjpeg " + std::to_string(JPEG_LIB_VERSION);
#endif
}

std::string gif_version() {
  return std::to_string(GIFLIB_MAJOR) + "." + std::to_string(GIFLIB_MINOR) + "." + std::to_string(GIFLIB_RELEASE);
}

}  // namespace

std::string decoder_versions() {
  return jpeg_version() + ", libpng " + png_get_libpng_ver(nullptr) + ", libwebp " + from_hex(WebPGetDecoderVersion()) +
         ", giflib " + gif_version();
}

}  // namespace proctor
