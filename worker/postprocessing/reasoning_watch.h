// Where a row stands whose model reasons before it answers: in its trace or behind it, token by token. Includes no
// torch.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "sharding/protocol/ask.h"
#include "sharding/protocol/tokens.h"

namespace proctor {

/// Tokens -> text, special ones among it.
using DecodeWhole = std::function<std::string(std::span<const TokenId>)>;

class ReasoningWatch {
 public:
  /// Of a row that has no trace to watch for.
  ReasoningWatch() = default;
  /// `end`: the tokens of the text that ends a trace, which are forced at the budget.
  ReasoningWatch(Reasoning asked, Tokens end);

  /// The token that must come next, where the budget is spent. `generated`: so far.
  std::optional<TokenId> forced(std::size_t generated) const;
  /// Called with each token that is added to `generated`, its last.
  void see(std::span<const TokenId> generated, const DecodeWhole& decode);

  /// Inside a trace, or where one may just be beginning: nothing but the end of the text stops it.
  bool is_reasoning() const { return state_ == State::undecided || state_ == State::open; }
  /// Tokens of the trace behind which the answer begins; 0: of none.
  std::size_t trace_tokens() const { return trace_tokens_; }
  /// `text`: all that was generated, the tags kept. The answer proper begins behind the last end, past white space.
  std::optional<ReasoningTrace> trace(const std::string& text, std::size_t generated) const;

  bool operator==(const ReasoningWatch&) const = default;

 private:
  enum class State { off, undecided, open, answer };
  std::optional<Reasoning> asked_;
  Tokens end_;
  State state_ = State::off;
  std::size_t trace_tokens_ = 0, forced_ = 0;  // forced_: tokens of end_ that have been
};

}  // namespace proctor
