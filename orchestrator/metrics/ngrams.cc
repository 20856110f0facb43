#include "orchestrator/metrics/ngrams.h"

#include <algorithm>

#include "orchestrator/metrics/code_points.h"

namespace proctor {

std::u32string code_points(std::string_view text) {
  std::u32string out;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint one = code_point_at(text, at);
    out += one.value;
    at += one.bytes;
  }
  return out;
}

std::u32string WordNumbers::operator()(std::span<const std::string> words) {
  std::u32string out;
  for (const std::string& word : words)
    out += numbers_.try_emplace(word, static_cast<char32_t>(numbers_.size())).first->second;
  return out;
}

Ngrams count_ngrams(std::u32string_view sequence, std::size_t order) {
  Ngrams ngrams;
  for (std::size_t i = 0; i < ngrams_in(sequence.size(), order); ++i) ++ngrams[sequence.substr(i, order)];
  return ngrams;
}

std::int64_t matches(const Ngrams& a, const Ngrams& b) {
  std::int64_t sum = 0;
  for (const auto& [ngram, times] : a)
    if (const auto found = b.find(ngram); found != b.end()) sum += std::min(times, found->second);
  return sum;
}

}  // namespace proctor
