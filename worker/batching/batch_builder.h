// Lays rows of a trie out in the blocks of one batch. Includes no torch.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/batching/batcher.h"
#include "worker/batching/row_trie.h"

namespace proctor {

class BatchBuilder {
 public:
  /// A batch behind the rows' first `depth` tokens. What is given must outlive this.
  BatchBuilder(const RowTrie& rows, const BatchLimits& limits, std::size_t depth)
      : rows_(rows), limits_(limits), depth_(depth) {
    batch_.prefix_length = depth;
  }

  /// Rows [begin, end), in ascending order, whose first `start` tokens are laid out and end in `parent`.
  void add(std::size_t begin, std::size_t end, std::size_t start, std::int32_t parent);

  Batch take(std::size_t prefix_row) {
    batch_.prefix_row = prefix_row;
    return std::move(batch_);
  }

 private:
  std::vector<std::size_t> ends_of_children(std::size_t begin, std::size_t end, std::size_t shared) const;
  void add_block(std::size_t begin, std::size_t end, std::size_t start, std::int32_t parent, bool is_chain);
  std::int32_t open_block(std::int32_t parent, bool is_chain);
  void close_block(std::int32_t index);
  /// Slots for positions [from, to) of row i.
  void lay_out(std::size_t i, std::size_t from, std::size_t to);

  const RowTrie& rows_;
  const BatchLimits& limits_;
  std::size_t depth_;
  Batch batch_;
  std::vector<std::int32_t> path_;  // slots of the positions laid out last, from depth_ on
};

}  // namespace proctor
