// Whole numbers of JSON that anybody may have written: converting one that does not fit would be undefined.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace proctor {

/// Nothing where the value is no whole number, or not within T.
template <class T, class Json>
std::optional<T> whole_of(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.template get<std::uint64_t>();
    return std::in_range<T>(number) ? std::optional(static_cast<T>(number)) : std::nullopt;
  }
  if (!value.is_number_integer()) return std::nullopt;
  const auto number = value.template get<std::int64_t>();
  return std::in_range<T>(number) ? std::optional(static_cast<T>(number)) : std::nullopt;
}

/// Of a key; `fallback` where it is not there, or holds no such number.
template <class T, class Json>
T whole_at(const Json& json, const char* key, T fallback) {
  const auto found = json.find(key);
  return found == json.end() ? fallback : whole_of<T>(*found).value_or(fallback);
}

}  // namespace proctor
