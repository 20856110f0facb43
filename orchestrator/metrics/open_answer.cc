#include "orchestrator/metrics/open_answer.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <variant>
#include <vector>

#include "orchestrator/cpython/python_literal.h"
#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/code_points.h"
#include "orchestrator/metrics/regex.h"

namespace proctor {
namespace {

using Normalised = std::variant<double, std::string>;

double two_decimals(double value) {
  if (!std::isfinite(value)) return value;
  std::string text(static_cast<std::size_t>(std::snprintf(nullptr, 0, "%.2f", value)) + 1, '\0');
  std::snprintf(text.data(), text.size(), "%.2f", value);
  return std::strtod(text.c_str(), nullptr);
}

/// A single character only counts with a space beside it.
void append_normalised(std::vector<Normalised>& out, const std::string& raw) {
  const std::string text = python::strip(raw);
  if (const auto number = python::to_float(replaced(text, ",", ""))) {
    out.emplace_back(two_decimals(*number));
    return;
  }
  const std::string lower = python::lower(text);
  if (python::length(lower) != 1) return void(out.emplace_back(lower));
  out.emplace_back(" " + lower);
  out.emplace_back(lower + " ");
}

/// With commas, in scientific notation, and plain ones.
std::vector<std::string> numbers_in(const std::string& text) {
  static const Regex kForms[] = {Regex(R"(-?\b\d{1,3}(?:,\d{3})+\b)", "numbers"),
                                 Regex(R"(-?\d+(?:\.\d+)?[eE][+-]?\d+)", "numbers"),
                                 Regex(R"(-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d]))", "numbers")};
  std::vector<std::string> out;
  for (const Regex& form : kForms)
    for (const auto& match : form.find_all(text)) out.push_back(match[0]);
  return out;
}

/// The shortest text behind the last of an indicator; "" where there is none, or nothing but a mark.
std::string key_of(const std::string& line, bool is_last) {
  std::vector<std::string_view> indicators = {"could be ",  "so ",    "is ",     "thus ",
                                              "therefore ", "final ", "answer ", "result "};
  if (is_last) indicators.emplace_back("=");  // an equation may be the answer
  std::string shortest;
  for (const std::string_view indicator : indicators) {
    const auto at = line.rfind(indicator);
    if (at == std::string::npos) continue;
    const std::string tail = python::strip(std::string_view(line).substr(at + indicator.size()));
    if (shortest.empty() || python::length(tail) < python::length(shortest)) shortest = tail;
  }
  const bool trivial = shortest.size() == 1 && std::string_view(":,.!?;'").find(shortest) != std::string_view::npos;
  return trivial ? "" : shortest;
}

std::vector<std::string> keys_of(const std::string& prediction) {
  std::string text = python::strip(prediction);
  text.erase(0, std::min(text.find_first_not_of('.'), text.size()));
  text.erase(text.find_last_not_of('.') + 1);
  text = python::lower(text);
  std::vector<std::string> keys;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (const std::string key = key_of(text.substr(begin, end - begin), end == text.size()); !key.empty())
      keys.push_back(key);
    begin = end + 1;
  }
  return keys.empty() ? std::vector{text} : keys;
}

bool agrees(const Normalised& found, const Normalised& expected) {
  if (found.index() != expected.index()) return false;
  if (const auto* number = std::get_if<double>(&found)) return *number == std::get<double>(expected);
  return std::get<std::string>(found).find(std::get<std::string>(expected)) != std::string::npos;
}

}  // namespace

bool open_answer(const std::string& prediction, const std::string& reference) {
  std::vector<Normalised> found, expected;
  append_normalised(expected, reference);
  for (const std::string& key : keys_of(prediction)) {
    append_normalised(found, key);
    for (const std::string& number : numbers_in(key)) append_normalised(found, number);
  }
  return std::ranges::any_of(found, [&](const Normalised& one) {
    return std::ranges::any_of(expected, [&](const Normalised& other) { return agrees(one, other); });
  });
}

}  // namespace proctor
