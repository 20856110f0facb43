// Counts of n-grams, of characters or of words, over sequences of 32-bit symbols: code points, or numbers of words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace proctor {

/// Code points of a UTF-8 text; U+FFFD for each byte that is not UTF-8.
std::u32string code_points(std::string_view text);

/// Numbers words from 0 on in the order of their first appearance: equal words, equal numbers.
class WordNumbers {
 public:
  std::u32string operator()(std::span<const std::string> words);

 private:
  std::unordered_map<std::string, char32_t> numbers_;
};

/// How often each n-gram occurs; its keys point into the sequence that was counted, which has to outlive them.
using Ngrams = std::unordered_map<std::u32string_view, std::int64_t>;
/// All runs of `order` symbols, order at least 1; none where the sequence is shorter.
Ngrams count_ngrams(std::u32string_view sequence, std::size_t order);
/// How many n-grams both have: the sum of the lesser counts.
std::int64_t matches(const Ngrams& a, const Ngrams& b);

/// How many n-grams of `order` a sequence of `length` symbols has.
constexpr std::size_t ngrams_in(std::size_t length, std::size_t order) {
  return length < order ? 0 : length - order + 1;
}

}  // namespace proctor
