// tests/data/goldens/vision: its files, and the hashes that they are compared by.
#pragma once

#include <openssl/sha.h>

#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>
#include <string>

namespace proctor {

inline std::string vision_path(const std::string& name) {
  return std::string(PROCTOR_SOURCE) + "/tests/data/goldens/vision/" + name;
}

inline std::string vision_file(const std::string& name) {
  std::ifstream stream(vision_path(name), std::ios::binary);
  std::ostringstream all;
  all << stream.rdbuf();
  return all.str();
}

inline nlohmann::json vision_json(const std::string& name) { return nlohmann::json::parse(vision_file(name)); }

template <class Value>
std::string sha256_of(const std::vector<Value>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  std::string hex;
  for (const unsigned char byte : digest) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

}  // namespace proctor
