// LongLLMLingua's choice of tokens (Jiang et al. 2023, arXiv:2310.06839) as llmlingua 0.2.2 makes it: windows of tokens
// are thinned one after another, each by the losses that the tokens kept so far give it. Includes no torch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sharding/protocol/tokens.h"

namespace proctor {

/// The losses (negative natural log-probabilities) of tokens[from + 1] to the last, each given all before it.
using TokenLosses = std::function<std::vector<double>(std::span<const TokenId> tokens, std::size_t from)>;

/// Contexts in the order in which they are taken: the least mean loss of the question behind them first, until the
/// tokens are past `budget` (the one that goes past it included). Returns their places, ascending.
std::vector<std::size_t> choose_contexts(std::span<const double> question_losses, std::span<const std::size_t> tokens,
                                         double budget);

/// What is left of `tokens`, the contexts joined; `lengths`: tokens of each context by itself; `target`: how many to
/// keep of all.
Tokens thin_out(Tokens tokens, std::span<const std::size_t> lengths, double target, const TokenLosses& losses);

}  // namespace proctor
