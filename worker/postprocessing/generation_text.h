// When a generated row's text is finished: lm-eval's stop strings, cut as it cuts them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace proctor {

constexpr std::size_t kSlackTokens = 4;  ///< a code point may be cut over so many tokens

/// True if the text holds one of the stop strings (empty ones never count).
bool has_stop(std::string_view text, const std::vector<std::string>& stops);
/// For each stop string in order: the text before its first occurrence.
std::string cut_at_stops(std::string text, const std::vector<std::string>& stops);

}  // namespace proctor
