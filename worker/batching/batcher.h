// Token rows -> batches in which what rows begin with alike is computed once. A batch is a pure function of the rows
// and the limits. Includes no torch.
//
// Rows in sorted order are a trie. What all rows of a shard share, or a part too large for one batch does, is a prefix:
// computed ahead, in pieces, its keys and values kept (prefix_cache.h). The rest of the trie is laid out depth first in
// slots and cut into blocks: chains (plain causal attention) and masked blocks (one masked call). A slot attends the
// slots before it on its path: in its block, in all of its block's ancestors, and the prefix.
#pragma once

#include <cstdint>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/batching/scored_row.h"

namespace proctor {

struct Block {
  std::size_t begin = 0, size = 0;  ///< slots
  std::int32_t parent = -1;         ///< block that is attended whole, as all of its ancestors are; -1: none
  std::size_t subtree_end = 0;      ///< one past the last slot of its descendants
  bool is_chain = true;             ///< each slot follows the one before
};

/// A row's path through the batch, or the part of it that this batch computes.
struct RowPath {
  std::size_t row = 0;                       ///< index into the rows given
  std::vector<std::int32_t> slots;           ///< of its positions from the prefix's end on
  std::size_t first_target = 0, scored = 0;  ///< the last `scored` slots predict targets[first_target...]
};

struct Batch {
  std::size_t prefix_row = 0, prefix_length = 0;  ///< the row's first tokens, which every slot attends
  Tokens tokens;
  std::vector<std::int32_t> positions;  ///< of each slot
  std::vector<std::int32_t> parents;    ///< slot before it on its path; -1: the prefix's end
  std::vector<Block> blocks;            ///< depth first
  std::vector<RowPath> paths;
  bool is_long = false;         ///< of rows longer than BatchLimits::longest_short
  bool extends_prefix = false;  ///< one chain that is the next piece of its row's prefix: its keys are kept
};

struct BatchLimits {
  std::int64_t max_batch_tokens = 2048;
  std::size_t max_masked_tokens = 256;  ///< subtrees up to this size are one masked call
  std::size_t min_saved = 32;           ///< tokens that a cut must save: it costs a call, and a merge
  std::size_t prefix_unit = 64;         ///< a prefix is a multiple of so many tokens
  std::size_t min_prefix = 0;           ///< of every batch: what all rows begin with, in whole units
  std::size_t max_rows = SIZE_MAX;      ///< of a batch
  /// Rows of more tokens have batches, and a prefix, of their own: their positions turn otherwise.
  std::size_t longest_short = SIZE_MAX;
};

/// Every target of every row in exactly one batch. A batch may be past max_batch_tokens by what its blocks repeat
/// rather than share, or if that is below prefix_unit.
std::vector<Batch> make_batches(const std::vector<ScoredRow>& rows, const BatchLimits& limits);

/// What all rows, all short or all long, begin with before any scored position, in whole units; 0 for one row, or where
/// batches are too small.
std::size_t common_prefix(const std::vector<ScoredRow>& rows, const BatchLimits& limits);

/// How a prefix is computed: lengths, each a power of two of units and no more than a batch. They depend on nothing but
/// the prefix's length, so that its keys have the same bytes whatever was computed before it.
std::vector<std::size_t> prefix_pieces(std::size_t length, const BatchLimits& limits);

/// A batch of one chain: tokens [begin, end) of a row behind its first `begin`. No paths.
Batch chain_batch(const Tokens& row, std::size_t begin, std::size_t end);

}  // namespace proctor
