#include "worker/tokenizer/unigram.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include "sharding/protocol/error.h"
#include "worker/tokenizer/unicode.h"

namespace proctor {
namespace {
constexpr double kUnknownPenalty = 10;  // SentencePiece's, below the least likely piece

/// A number as serde_json reads it for `tokenizers`: its digits as a whole number, scaled by one division or product.
/// Past 15 digits that may be a bit off the nearest double, and a bit decides between ways of equal sums ("ggg" +
/// "gg").
double as_serde_reads(double value) {
  std::array<char, 32> text{};  // the shortest digits that give it back, as the file has them: "-1.0809e+01"
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), std::abs(value), std::chars_format::scientific);
  std::uint64_t digits = 0;
  int exponent = 0;
  bool behind_point = false;
  const char* at = text.data();
  for (; at != end.ptr && *at != 'e'; ++at) {
    if (*at == '.') {
      behind_point = true;
      continue;
    }
    digits = digits * 10 + static_cast<std::uint64_t>(*at - '0');
    exponent -= behind_point;
  }
  exponent += std::atoi(at + 1);
  constexpr int kMost = 308;  // of its table of powers; no score is beyond
  if (!std::isfinite(value) || std::abs(exponent) > kMost) return value;
  const auto whole = static_cast<double>(digits);
  const double power = std::strtod(("1e" + std::to_string(std::abs(exponent))).c_str(), nullptr);
  const double read = exponent < 0 ? whole / power : whole * power;
  return value < 0 ? -read : read;
}
}  // namespace

Unigram::Unigram(const nlohmann::json& json) : byte_fallback_(json.value("byte_fallback", false)) {
  double least = std::numeric_limits<double>::infinity();
  for (const auto& entry : json.at("vocab")) {
    const auto id = static_cast<std::int32_t>(scores_.size());
    const std::string piece = entry.at(0);
    add_token(piece, id);
    trie_.add(piece, id);
    scores_.push_back(as_serde_reads(entry.at(1)));
    least = std::min(least, scores_.back());
  }
  unknown_score_ = least - kUnknownPenalty;
  if (json.contains("unk_id") && !json.at("unk_id").is_null()) unknown_ = json.at("unk_id");
  if (unknown_ < -1 || unknown_ >= static_cast<std::int32_t>(scores_.size()))
    throw InputError("Unigram's unk_id " + std::to_string(unknown_) + " is not in its vocabulary");
  byte_ids_ = byte_ids();
}

/// One id, or where the piece is unknown: its bytes' ids if all are there, else the unknown one.
void Unigram::append(std::string_view piece, Tokens& ids) const {
  if (const auto known = id(piece)) return ids.push_back(*known);
  const bool has_bytes = byte_fallback_ && std::ranges::all_of(piece, [this](char c) {
                           return byte_ids_[static_cast<unsigned char>(c)] >= 0;
                         });
  if (has_bytes)
    for (const char c : piece) ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
  else if (unknown_ >= 0)
    ids.push_back(unknown_);
  else
    throw InputError("text has a character that is not in the Unigram vocabulary, which has no unknown token");
}

/// As Hugging Face's encode_optimized: of equal sums the first found; unknown characters side by side are one piece.
void Unigram::encode(std::string_view word, Tokens& ids) {
  struct Best {
    double score = 0;
    std::size_t begin = 0;
    std::int32_t piece = -1;
    bool reached = false;
  };
  std::vector<Best> best(word.size() + 1);
  best[0].reached = true;
  const auto offer = [&](std::size_t begin, std::size_t end, std::int32_t piece, double score) {
    if (best[end].reached && score <= best[end].score) return;
    best[end] = {score, begin, piece, true};
  };
  for (std::size_t begin = 0, length = 0; begin < word.size(); begin += length) {
    code_point_at(word, begin, length);
    bool has_single = false;
    const ByteTrie::Node* node = trie_.root();
    for (std::size_t end = begin; end < word.size();) {
      node = trie_.step(node, word[end++]);
      if (!node) break;
      if (node->value < 0) continue;
      offer(begin, end, node->value, scores_[static_cast<std::size_t>(node->value)] + best[begin].score);
      has_single = has_single || end - begin == length;
    }
    if (!has_single) offer(begin, begin + length, unknown_, unknown_score_ + best[begin].score);
  }
  std::vector<std::string_view> pieces;  // backwards
  std::size_t unknown_end = 0;           // of a run of unknown characters
  for (std::size_t end = word.size(); end > 0;) {
    const auto [score, begin, piece, reached] = best[end];
    const bool is_unknown = piece == unknown_;
    if (is_unknown && unknown_end == 0) unknown_end = end;
    if (!is_unknown) {
      if (unknown_end > 0) pieces.push_back(word.substr(end, unknown_end - end));
      unknown_end = 0;
      pieces.push_back(word.substr(begin, end - begin));
    }
    end = begin;
  }
  if (unknown_end > 0) pieces.push_back(word.substr(0, unknown_end));
  for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) append(*piece, ids);
}

}  // namespace proctor
