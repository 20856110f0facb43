// printf into a string.
#pragma once

#include <string>

namespace proctor {

[[gnu::format(printf, 1, 2)]] std::string formatted(const char* format, ...);

}  // namespace proctor
