// Counts and durations as people read them: one place for all messages, tables and pictures.
#pragma once

#include <cstdint>
#include <string>

namespace proctor {

/// "1 batch", "2 batches": an English noun that ends in -s, -x, -ch or -sh takes -es, one in consonant + y -ies.
std::string counted(std::uint64_t count, const std::string& noun);

/// "1.5 s", "12 min 30 s", "47 h 39 min".
std::string duration_text(double seconds);

}  // namespace proctor
