#include "worker/postprocessing/generation_text.h"

namespace proctor {

bool has_stop(std::string_view text, const std::vector<std::string>& stops) {
  for (const std::string& stop : stops)
    if (!stop.empty() && text.find(stop) != std::string_view::npos) return true;
  return false;
}

std::string cut_at_stops(std::string text, const std::vector<std::string>& stops) {
  for (const std::string& stop : stops)
    if (!stop.empty()) text.resize(std::min(text.find(stop), text.size()));
  return text;
}

}  // namespace proctor
