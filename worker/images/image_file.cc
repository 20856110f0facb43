#include "worker/images/image_file.h"

#include <xxhash.h>

#include <cstdio>
#include <fstream>
#include <iterator>

#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"
#include "worker/images/decode.h"

namespace proctor {
namespace {

/// As the orchestrator's xxh3_hex: 128 bits.
std::string hash_of(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  char hex[33];
  std::snprintf(hex, sizeof hex, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return hex;
}

std::string bytes_of(const std::string& path) {
  if (const auto why = why_no_file(path)) throw InputError("image " + path + ": " + *why);
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.good() && !file.eof()) throw InputError("image " + path + ": cannot be read");
  return bytes;
}

}  // namespace

Picture read_image(const Image& image, bool upright) {
  const std::string bytes = bytes_of(image.path);
  if (const std::string now = hash_of(bytes); now != image.hash)
    throw InputError("image " + image.path + ": its bytes are not those that the run was planned with (" + image.hash +
                     ", now " + now + "); restore the file, or start a new run");
  try {
    return decode_image(bytes, upright);
  } catch (const InputError& error) {
    throw InputError("image " + image.path + ": " + error.what());
  }
}

}  // namespace proctor
