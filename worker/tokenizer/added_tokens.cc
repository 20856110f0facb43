#include "worker/tokenizer/added_tokens.h"

#include <algorithm>

#include "worker/tokenizer/unicode.h"

namespace proctor {
namespace {

bool word_before(std::string_view text, std::size_t at) {
  std::size_t length = 0;
  return at > 0 && is_word_character(code_point_at(text, previous_code_point(text, at), length));
}
bool word_after(std::string_view text, std::size_t at) {
  std::size_t length = 0;
  return at < text.size() && is_word_character(code_point_at(text, at, length));
}

std::size_t skip_space_left(std::string_view text, std::size_t at, std::size_t bound) {
  std::size_t length = 0;
  while (at > bound) {
    const std::size_t last = previous_code_point(text, at);
    if (!is_white_space(code_point_at(text, last, length))) break;
    at = last;
  }
  return at;
}
std::size_t skip_space_right(std::string_view text, std::size_t at) {
  for (std::size_t length = 0; at < text.size() && is_white_space(code_point_at(text, at, length));) at += length;
  return at;
}

}  // namespace

void AddedTokenMatcher::add(AddedToken token) {
  if (token.content.empty()) return;
  trie_.add(token.content, static_cast<std::int32_t>(tokens_.size()));
  tokens_.push_back(std::move(token));
}

const AddedToken* AddedTokenMatcher::longest_at(std::string_view text, std::size_t at, std::size_t& end) const {
  const AddedToken* found = nullptr;
  for (const ByteTrie::Node* node = trie_.root(); at < text.size();) {
    node = trie_.step(node, text[at]);
    if (!node) break;
    ++at;
    if (node->value < 0) continue;
    found = &tokens_[static_cast<std::size_t>(node->value)];
    end = at;
  }
  return found;
}

std::vector<AddedTokenMatcher::Span> AddedTokenMatcher::cut(std::string_view text) const {
  std::vector<Span> spans;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    const AddedToken* token = longest_at(text, at, end);
    if (token && token->single_word && (word_before(text, at) || word_after(text, end))) token = nullptr;
    if (!token) {
      at = end > at ? end : at + 1;
      continue;
    }
    const std::size_t begin = token->lstrip ? std::max(skip_space_left(text, at, done), done) : at;
    at = end;  // white space that a token takes may be the next one's content, too
    if (token->rstrip) end = skip_space_right(text, end);
    if (begin > done) spans.push_back({done, begin, nullptr});
    spans.push_back({begin, end, token});
    done = end;
  }
  if (done < text.size()) spans.push_back({done, text.size(), nullptr});
  return spans;
}

}  // namespace proctor
