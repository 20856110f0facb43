#include "worker/postprocessing/reasoning_watch.h"

#include <algorithm>
#include <utility>

#include "worker/postprocessing/generation_text.h"

namespace proctor {
namespace {

constexpr const char* kBlanks = " \t\r\n\f\v";

std::string without_leading_blanks(const std::string& text) {
  return text.substr(std::min(text.find_first_not_of(kBlanks), text.size()));
}

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

}  // namespace

ReasoningWatch::ReasoningWatch(Reasoning asked, Tokens end) : asked_(std::move(asked)), end_(std::move(end)) {
  state_ = asked_->opened ? State::open : State::undecided;
}

std::optional<TokenId> ReasoningWatch::forced(std::size_t generated) const {
  if (state_ != State::open || !asked_->max_toks || end_.empty()) return std::nullopt;
  if (forced_ == 0 && static_cast<std::int64_t>(generated) < *asked_->max_toks) return std::nullopt;
  return end_[forced_];
}

void ReasoningWatch::see(std::span<const TokenId> generated, const DecodeWhole& decode) {
  if (state_ == State::off) return;
  if (forced(generated.size() - 1) && ++forced_ == end_.size()) {
    trace_tokens_ = generated.size();
    state_ = State::answer;
    return;
  }
  const auto tail = generated.last(std::min(generated.size(), asked_->end.size() + kSlackTokens));
  const std::size_t before = tail.size() > 1 ? occurrences(decode(tail.first(tail.size() - 1)), asked_->end) : 0;
  if (occurrences(decode(tail), asked_->end) > before) {
    trace_tokens_ = generated.size();
    state_ = State::answer;
  } else if (state_ == State::undecided) {
    const std::string text = without_leading_blanks(decode(generated));
    if (text.starts_with(asked_->start))
      state_ = State::open;
    else if (!asked_->start.starts_with(text))
      state_ = State::answer;
  }
}

std::optional<ReasoningTrace> ReasoningWatch::trace(const std::string& text, std::size_t generated) const {
  if (!asked_) return std::nullopt;
  ReasoningTrace trace;
  if (state_ == State::open)
    return ReasoningTrace{ReasoningTrace::End::none, static_cast<std::int64_t>(generated), text.size()};
  if (trace_tokens_ == 0) return trace;
  trace.end = forced_ == end_.size() && forced_ > 0 ? ReasoningTrace::End::budget : ReasoningTrace::End::own;
  trace.tokens = static_cast<std::int64_t>(trace_tokens_);
  if (const auto last = text.rfind(asked_->end); last != std::string::npos)
    trace.answer_at = std::min(text.find_first_not_of(kBlanks, last + asked_->end.size()), text.size());
  return trace;
}

}  // namespace proctor
