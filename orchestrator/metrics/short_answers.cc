#include "orchestrator/metrics/short_answers.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <string_view>
#include <vector>

#include "orchestrator/cpython/python_literal.h"
#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/code_points.h"
#include "orchestrator/metrics/ngrams.h"

namespace proctor {
namespace {

std::size_t levenshtein(const std::u32string& a, const std::u32string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

std::u32string squeezed(const std::string& text) {
  std::string out;
  for (const std::string& word : python::split(python::lower(python::strip(text))))
    out.append(out.empty() ? "" : " ").append(word);
  return code_points(out);
}

std::optional<double> number_of(std::string_view text) {
  const bool percent = text.ends_with('%');
  while (text.ends_with('%')) text.remove_suffix(1);
  const std::optional<double> value = python::to_float(text);
  return value && percent ? *value / 100 : value;
}

std::string ascii_width(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint one = code_point_at(text, at);
    if (one.value >= 0xFF01 && one.value <= 0xFF5E)
      out += static_cast<char>(one.value - 0xFEE0);
    else if (one.value == 0x3000)
      out += ' ';
    else
      out += text.substr(at, one.bytes);
    at += one.bytes;
  }
  return out;
}

std::string as_compared(const std::string& text, Spaces spaces) {
  if (spaces == Spaces::ignore) {
    std::string out = python::strip(text);
    std::erase_if(out, [](char c) { return c == ' ' || c == '\n'; });
    return out;
  }
  std::string out = python::strip(python::lower(ascii_width(text)));
  std::ranges::replace(out, '\n', ' ');
  return out;
}

}  // namespace

double anls(const std::string& prediction, const std::string& reference) {
  const std::size_t longer =
      std::max(python::length(python::upper(prediction)), python::length(python::upper(reference)));
  if (longer == 0) return 1;
  const auto distance = static_cast<double>(levenshtein(squeezed(prediction), squeezed(reference)));
  const double similarity = 1 - distance / static_cast<double>(longer);
  constexpr double kThreshold = 0.5;
  return similarity < kThreshold ? 0 : similarity;
}

bool relaxed_accuracy(const std::string& prediction, const std::string& reference) {
  const std::optional<double> found = number_of(prediction), expected = number_of(reference);
  if (!found || !expected || *expected == 0) return python::lower(prediction) == python::lower(reference);
  constexpr double kTolerance = 0.05;
  return std::fabs(*found - *expected) / std::fabs(*expected) <= kTolerance;
}

bool contains(const std::string& prediction, const std::string& reference, Spaces spaces) {
  return as_compared(prediction, spaces).find(as_compared(reference, spaces)) != std::string::npos;
}

}  // namespace proctor
