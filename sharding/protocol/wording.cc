#include "sharding/protocol/wording.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace proctor {

std::string counted(std::uint64_t count, const std::string& noun) {
  const std::string number = std::to_string(count) + " ";
  if (count == 1) return number + noun;
  const auto ends = [&](const char* ending) { return noun.ends_with(ending); };
  if (ends("s") || ends("x") || ends("ch") || ends("sh")) return number + noun + "es";
  if (ends("y") && !ends("ay") && !ends("ey") && !ends("oy")) return number + noun.substr(0, noun.size() - 1) + "ies";
  return number + noun + "s";
}

std::string duration_text(double seconds) {
  char text[64];
  const auto whole = std::llround(std::min(seconds, 1e15));
  if (seconds < 90)
    std::snprintf(text, sizeof text, "%.1f s", seconds);
  else if (whole < 3600)
    std::snprintf(text, sizeof text, "%lld min %lld s", whole / 60, whole % 60);
  else
    std::snprintf(text, sizeof text, "%lld h %lld min", whole / 3600, whole % 3600 / 60);
  return text;
}

}  // namespace proctor
