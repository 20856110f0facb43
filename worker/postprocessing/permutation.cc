#include "worker/postprocessing/permutation.h"

#include <utf8proc.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <sstream>
#include <string_view>

namespace proctor {
namespace {

constexpr std::size_t kWords = 300;

/// What Python's str.split() parts words by.
bool is_blank(utf8proc_int32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/// Calls `act` with each code point (-1 where there is none) and its bytes.
template <class Act>
void each_code_point(const std::string& text, Act act) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto size = static_cast<utf8proc_ssize_t>(text.size());
  for (utf8proc_ssize_t at = 0; at < size;) {
    utf8proc_int32_t c = -1;
    const auto length = std::max<utf8proc_ssize_t>(1, utf8proc_iterate(bytes + at, size - at, &c));
    act(c, std::string_view(text).substr(static_cast<std::size_t>(at), static_cast<std::size_t>(length)));
    at += length;
  }
}

std::string first_words(const std::string& text) {
  std::string out;
  std::size_t words = 0;
  bool within = false;
  each_code_point(text, [&](utf8proc_int32_t c, std::string_view bytes) {
    const bool begins = !is_blank(c) && !within;
    within = !is_blank(c);
    if (begins && ++words > 1 && words <= kWords) out += ' ';
    if (within && words <= kWords) out += bytes;
  });
  return out;
}

bool is_decimal(utf8proc_int32_t c) { return utf8proc_category(c) == UTF8PROC_CATEGORY_ND; }

/// Of a decimal digit of any script: sets of ten follow each other from a code point that ends in 0 or 6, but for the
/// mathematical ones.
int digit_value(utf8proc_int32_t c) {
  constexpr utf8proc_int32_t kMathematical = 0x1D7CE, kBehind = 0x1D800;
  if (c >= kMathematical && c < kBehind) return (c - kMathematical) % 10;
  const utf8proc_int32_t row = c & ~0xF;
  return is_decimal(row) ? c - row : c - row - 6;
}

/// The decimal digits as ASCII has them, everything else as a blank: what Python's isdigit() and int() make of them.
std::string decimal_digits(const std::string& text) {
  std::string digits;
  each_code_point(text, [&](utf8proc_int32_t c, std::string_view) {
    digits += c >= 0 && is_decimal(c) ? static_cast<char>('0' + digit_value(c)) : ' ';
  });
  return digits;
}

}  // namespace

std::string permutation_prompt(const std::string& query, std::span<const std::string> passages) {
  const std::string count = std::to_string(passages.size());
  std::string text =
      "system: You are RankGPT, an intelligent assistant that can rank passages based on their relevancy to the query."
      "\nuser: I will provide you with " +
      count +
      " passages, each indicated by number identifier []. \nRank the passages based on their relevance to query: " +
      query + ".\nassistant: Okay, please provide the passages.\n";
  for (std::size_t i = 0; i < passages.size(); ++i) {
    const std::string number = "[" + std::to_string(i + 1) + "]";
    text += "user: " + number + " " + first_words(passages[i]) + "\nassistant: Received passage " + number + ".\n";
  }
  return text + "user: Search Query: " + query + ". \nRank the " + count +
         " passages above based on their relevance to the search query. The passages should be listed in descending "
         "order using identifiers. The most relevant passages should be listed first. The output format should be [] > "
         "[], e.g., [1] > [2]. Only response the ranking results, do not say any word or explain.\nassistant: ";
}

std::vector<std::size_t> read_permutation(const std::string& written, std::size_t count) {
  std::istringstream stream(decimal_digits(written));
  std::vector<std::size_t> places;
  std::vector<bool> named(count, false);
  const auto add = [&](std::size_t place) {
    if (place < count && !named[place]) places.push_back(place);
    if (place < count) named[place] = true;
  };
  for (std::string word; stream >> word;) {
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error == std::errc() && number > 0) add(number - 1);
  }
  for (std::size_t place = 0; place < count; ++place) add(place);
  return places;
}

}  // namespace proctor
