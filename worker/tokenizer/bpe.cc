#include "worker/tokenizer/bpe.h"

#include <queue>
#include <tuple>

#include "sharding/protocol/error.h"
#include "worker/tokenizer/unicode.h"

namespace proctor {
namespace {

constexpr std::size_t kCachedWords = 1 << 17, kCachedWordBytes = 256;

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}

std::string text_or_empty(const nlohmann::json& json, const char* key) {
  return json.contains(key) && json.at(key).is_string() ? json.at(key).get<std::string>() : "";
}
bool flag(const nlohmann::json& json, const char* key) {
  return json.contains(key) && json.at(key).is_boolean() && json.at(key).get<bool>();
}

}  // namespace

Bpe::Bpe(const nlohmann::json& json)
    : prefix_(text_or_empty(json, "continuing_subword_prefix")),
      suffix_(text_or_empty(json, "end_of_word_suffix")),
      fuse_unknown_(flag(json, "fuse_unk")),
      byte_fallback_(flag(json, "byte_fallback")),
      ignore_merges_(flag(json, "ignore_merges")) {
  if (json.contains("dropout") && json.at("dropout").is_number() && json.at("dropout").get<double>() != 0)
    throw InputError("BPE dropout is not supported (it makes token ids random)");
  for (const auto& [token, id] : json.at("vocab").items()) add_token(token, whole_id(token, id));
  read_merges(json.at("merges"));
  if (const std::string unknown = text_or_empty(json, "unk_token"); !unknown.empty()) unknown_ = id(unknown);
  byte_ids_ = byte_ids();
}

void Bpe::read_merges(const nlohmann::json& merges) {
  merges_.reserve(merges.size());
  std::uint32_t rank = 0;
  for (const auto& merge : merges) {
    std::string left, right;
    if (merge.is_string()) {
      const auto& text = merge.get_ref<const std::string&>();
      const auto space = text.find(' ', 1);
      if (space == std::string::npos) throw InputError("merge '" + text + "' is not two tokens");
      left = text.substr(0, space);
      right = text.substr(space + 1);
    } else {
      left = merge.at(0);
      right = merge.at(1);
    }
    const std::string tail = right.starts_with(prefix_) ? right.substr(prefix_.size()) : right;
    const auto left_id = id(left), right_id = id(right), merged = id(left + tail);
    if (!left_id || !right_id || !merged)
      throw InputError("merge '" + left + "' + '" + right + "' names a token that the vocabulary lacks");
    merges_.insert_or_assign(pair_key(*left_id, *right_id), Merge{rank++, *merged});  // the last one counts
  }
}

const Bpe::Merge* Bpe::merge_of(std::int32_t left, std::int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

std::vector<Bpe::Symbol> Bpe::symbols_of(std::string_view word) const {
  std::vector<Symbol> symbols;
  bool after_unknown = false;
  const auto push = [&](std::int32_t id) {
    const auto index = static_cast<std::int32_t>(symbols.size());
    symbols.push_back({id, index - 1, index + 1});
    after_unknown = false;
  };
  std::string token;
  for (std::size_t at = 0, length = 0; at < word.size(); at += length) {
    code_point_at(word, at, length);
    const std::string_view character = word.substr(at, length);
    token.clear();
    if (at > 0) token += prefix_;
    token += character;
    if (at + length >= word.size()) token += suffix_;
    if (const auto known = id(token)) {
      push(*known);
      continue;
    }
    bool bytes_known = byte_fallback_;
    for (char c : token) bytes_known = bytes_known && byte_ids_[static_cast<unsigned char>(c)] >= 0;
    if (bytes_known) {
      for (char c : token) push(byte_ids_[static_cast<unsigned char>(c)]);
    } else if (unknown_ && !(fuse_unknown_ && after_unknown)) {
      push(*unknown_);
      after_unknown = true;
    }
  }
  if (!symbols.empty()) symbols.back().next = -1;
  return symbols;
}

/// Lowest rank first, leftmost among equals: a heap over a linked list, n log n for texts without pre-tokenizer.
void Bpe::merge(std::vector<Symbol>& symbols) const {
  using Candidate = std::tuple<std::uint32_t, std::int32_t, std::int32_t, std::int32_t, std::int32_t>;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> heap;  // rank, position, left, right, merged
  const auto consider = [&](std::int32_t position) {
    if (position < 0 || symbols[position].next < 0) return;
    const std::int32_t left = symbols[position].id, right = symbols[symbols[position].next].id;
    if (const Merge* merge = merge_of(left, right)) heap.emplace(merge->rank, position, left, right, merge->id);
  };
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i) consider(static_cast<std::int32_t>(i));
  while (!heap.empty()) {
    const auto [rank, position, left, right, merged] = heap.top();
    heap.pop();
    Symbol& symbol = symbols[position];
    if (symbol.dead || symbol.id != left || symbol.next < 0 || symbols[symbol.next].id != right) continue;
    Symbol& absorbed = symbols[symbol.next];
    absorbed.dead = true;
    symbol.id = merged;
    symbol.next = absorbed.next;
    if (symbol.next >= 0) symbols[symbol.next].previous = position;
    consider(symbol.previous);
    consider(position);
  }
}

void Bpe::encode(std::string_view word, Tokens& ids) {
  if (word.empty()) return;
  if (const auto cached = cache_.find(word); cached != cache_.end()) {
    ids.insert(ids.end(), cached->second.begin(), cached->second.end());
    return;
  }
  const std::size_t before = ids.size();
  const auto whole = ignore_merges_ ? id(word) : std::nullopt;
  if (whole) {
    ids.push_back(*whole);
  } else {
    std::vector<Symbol> symbols = symbols_of(word);
    merge(symbols);
    for (const Symbol& symbol : symbols)
      if (!symbol.dead) ids.push_back(symbol.id);
  }
  if (word.size() > kCachedWordBytes) return;
  if (cache_.size() >= kCachedWords) cache_.clear();
  cache_.emplace(word, Tokens(ids.begin() + static_cast<std::ptrdiff_t>(before), ids.end()));
}

}  // namespace proctor
