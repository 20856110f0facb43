#include "worker/images/image_file.h"

#include <fstream>
#include <sstream>
#include <utility>

#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"
#include "worker/base/content_hash.h"
#include "worker/images/decode.h"

namespace proctor {
namespace {

std::string bytes_of(const std::string& path) {
  if (const auto why = why_no_file(path)) throw InputError("image " + path + ": " + *why);
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError("image " + path + ": cannot be read");
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return std::move(bytes).str();
}

}  // namespace

Picture read_image(const Image& image, bool upright) {
  const std::string bytes = bytes_of(image.path);
  ContentHash hash;
  hash.add(bytes);
  if (const std::string now = hash.hex(); now != image.hash)
    throw InputError("image " + image.path + ": its bytes are not those that the run was planned with (" + image.hash +
                     ", now " + now + "); restore the file, or start a new run");
  try {
    return decode_image(bytes, upright);
  } catch (const InputError& error) {
    throw InputError("image " + image.path + ": " + error.what());
  }
}

}  // namespace proctor
