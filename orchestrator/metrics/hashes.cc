#include "orchestrator/metrics/hashes.h"

#include <openssl/sha.h>
#include <xxhash.h>

#include <array>
#include <cstdio>

namespace proctor {

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  std::string text;
  char buffer[3];
  for (unsigned char byte : digest) std::snprintf(buffer, sizeof buffer, "%02x", byte), text += buffer;
  return text;
}

std::string xxh3_hex(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

}  // namespace proctor
