#include "orchestrator/metrics/hashes.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <xxhash.h>

#include <cstdio>

#include "sharding/protocol/error.h"

namespace proctor {

Digest sha256(std::string_view bytes) {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  return digest;
}

namespace {

std::array<char, 2 * std::tuple_size_v<Digest>> hex_digits(const Digest& digest) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::array<char, 2 * std::tuple_size_v<Digest>> text;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    text[2 * i] = kDigits[digest[i] >> 4];
    text[2 * i + 1] = kDigits[digest[i] & 15];
  }
  return text;
}

}  // namespace

std::string hex(const Digest& digest) {
  const auto digits = hex_digits(digest);
  return {digits.begin(), digits.end()};
}

std::string sha256_hex(std::string_view bytes) { return hex(sha256(bytes)); }

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  PROCTOR_CHECK(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1, "OpenSSL has SHA-256");
}
Sha256::~Sha256() = default;

void Sha256::add(std::string_view bytes) { EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()); }

void Sha256::add_hex(const Digest& digest) {
  const auto digits = hex_digits(digest);
  add({digits.data(), digits.size()});
}

std::string Sha256::hex() {
  Digest digest;
  EVP_DigestFinal_ex(state_->context, digest.data(), nullptr);
  return proctor::hex(digest);
}

std::string xxh3_hex(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

}  // namespace proctor
