// Hashes: SHA-256 where lm-eval has it, XXH3 for our own.
#pragma once

#include <string>
#include <string_view>

namespace proctor {

std::string sha256_hex(std::string_view bytes);
std::string xxh3_hex(std::string_view bytes);  ///< 128 bits

}  // namespace proctor
