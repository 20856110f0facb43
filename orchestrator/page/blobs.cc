#include "orchestrator/page/blobs.h"

#include <openssl/evp.h>
#include <zlib.h>

#include "sharding/protocol/error.h"

namespace proctor {
std::string base64(const std::string& bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // OpenSSL ends it with a zero
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::size_t Blobs::add(const std::string& text) {
  uLongf size = compressBound(text.size());
  std::string packed(size, '\0');
  if (compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(text.data()),
                text.size(), Z_DEFAULT_COMPRESSION) != Z_OK)
    throw EnvironmentError("no memory to pack " + std::to_string(text.size()) + " bytes of samples");
  packed.resize(size);
  packed_.push_back(base64(packed));
  return packed_.size() - 1;
}

void Blobs::append_to(std::string& page) const {
  for (std::size_t b = 0; b < packed_.size(); ++b)
    page += "<script type=\"text/plain\" id=\"blob-" + std::to_string(b) + "\">" + packed_[b] + "</script>\n";
}

}  // namespace proctor
