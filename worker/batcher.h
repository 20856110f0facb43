// Token rows -> batches of trees: rows that begin alike share their first tokens, which are computed once. A batch is a
// pure function of the rows and max_batch_tokens. Includes no torch.
//
// A tree is laid out depth first in consecutive slots. Each row is a path of slots, one per position; a slot attends
// exactly the slots before it on its path. So "ancestor" is all the structure there is, and any depth works.
#pragma once

#include <cstdint>
#include <vector>

namespace proctor {

/// One row to score: `tokens` are the model's input; its last targets.size() positions predict `targets`.
struct ScoredRow {
  std::vector<std::int32_t> tokens, targets;
};

struct Tree {
  std::vector<std::int32_t> tokens;              ///< of each slot
  std::vector<std::int32_t> positions;           ///< of each slot: its depth
  std::vector<std::int32_t> parents;             ///< slot before it on its path; -1 for the first
  std::vector<std::size_t> rows;                 ///< indices into the rows given
  std::vector<std::vector<std::int32_t>> paths;  ///< of each of `rows`: slots of its scored positions, in order
  bool is_chain = true;                          ///< no slot has two children: plain causal attention
};

struct Batch {
  std::vector<Tree> trees;
  std::size_t tokens = 0;
};

struct BatchLimits {
  std::int64_t max_batch_tokens = 4096;
  std::size_t min_shared = 16;  ///< tokens that must be shared for rows to become one tree
  std::size_t max_tree_tokens = 2048;
};

/// Every row in exactly one tree; a batch is past max_batch_tokens only if one tree alone is.
std::vector<Batch> make_batches(const std::vector<ScoredRow>& rows, const BatchLimits& limits);

/// lm-eval's rolling windows with context length 1: (input, targets) pairs over `tokens`, prefixed by `prefix`.
std::vector<ScoredRow> rolling_windows(const std::vector<std::int32_t>& tokens, std::int32_t prefix,
                                       std::int64_t max_length);

}  // namespace proctor
