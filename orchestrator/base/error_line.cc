#include "orchestrator/base/error_line.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

/// ":17" at the end, which is taken off.
std::optional<long> take_number(std::string& text) {
  constexpr std::size_t kMostDigits = 9;
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == text.size()) return std::nullopt;
  const std::string digits = text.substr(colon + 1);
  if (digits.size() > kMostDigits || !std::ranges::all_of(digits, is_digit)) return std::nullopt;
  text.resize(colon);
  return std::stol(digits);
}

/// "a.yaml", "/some where/a", but not "module a" or "--limit 0".
bool reads_as_a_path(const std::string& text) {
  return text.starts_with('/') || (text.find_first_of("/.") != std::string::npos &&
                                   text.find(' ') == std::string::npos && !text.starts_with('-'));
}

/// What messages begin with: "FILE:LINE:COLUMN: ", "FILE:LINE: ", "PATH: ", or none of them.
Json place_in(const std::string& message) {
  Json place = {{"file", nullptr}, {"line", nullptr}, {"column", nullptr}};
  const auto end = message.find(": ");
  if (end == std::string::npos) return place;
  std::string head = message.substr(0, end);
  const auto last = take_number(head), first = last ? take_number(head) : std::nullopt;
  if (!last && !reads_as_a_path(head)) return place;
  place["file"] = head;
  if (const auto line = first ? first : last) place["line"] = *line;
  if (first) place["column"] = *last;
  return place;
}

}  // namespace

std::string error_line(ErrorStyle style, const std::string& message, int code) {
  if (style == ErrorStyle::text) return "proctor: " + message;
  Json json = {{"error", message}, {"exit", code}};
  json.update(place_in(message));
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);  // a path may hold any bytes
}

}  // namespace proctor
