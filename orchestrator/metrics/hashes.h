// Hashes: SHA-256 where lm-eval has it, XXH3 for our own.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

namespace proctor {

using Digest = std::array<unsigned char, 32>;
Digest sha256(std::string_view bytes);
std::string hex(const Digest& digest);
std::string sha256_hex(std::string_view bytes);

/// SHA-256 of a text that comes in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;  // one state
  Sha256& operator=(const Sha256&) = delete;
  void add(std::string_view bytes);
  void add_hex(const Digest& digest);  ///< as text
  std::string hex();                   ///< once, at the end

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string xxh3_hex(std::string_view bytes);  ///< 128 bits

}  // namespace proctor
