#include "worker/batching/batch_builder.h"

#include <algorithm>

namespace proctor {

void BatchBuilder::add(std::size_t begin, std::size_t end, std::size_t start, std::int32_t parent) {
  const std::size_t shared = rows_.shared(begin, end), size = rows_.trie_size(begin, end, start);
  const bool one_path = size == rows_.length(end - 1) - start;
  if (one_path || size <= limits_.max_masked_tokens) return add_block(begin, end, start, parent, one_path);
  const std::vector<std::size_t> ends = ends_of_children(begin, end, shared);
  const std::size_t saved = (shared - start) * (ends.size() - 1);
  std::int32_t trunk = parent;
  if (shared > start && saved >= limits_.min_saved) {
    trunk = open_block(parent, true);
    lay_out(begin, start, shared);
    close_block(trunk);
    start = shared;
  }
  for (std::size_t child = begin; std::size_t child_end : ends) {
    add(child, child_end, start, trunk);
    child = child_end;
  }
  if (trunk != parent) batch_.blocks[static_cast<std::size_t>(trunk)].subtree_end = batch_.tokens.size();
}

std::vector<std::size_t> BatchBuilder::ends_of_children(std::size_t begin, std::size_t end, std::size_t shared) const {
  std::vector<std::size_t> ends;
  for (std::size_t i = begin + 1; i < end; ++i)
    if (rows_.shared(i) == shared) ends.push_back(i);
  ends.push_back(end);
  return ends;
}

void BatchBuilder::add_block(std::size_t begin, std::size_t end, std::size_t start, std::int32_t parent,
                             bool is_chain) {
  const bool empty = rows_.trie_size(begin, end, start) == 0;  // rows that end where their parent does
  const std::int32_t block = empty ? -1 : open_block(parent, is_chain);
  for (std::size_t i = begin; i < end; ++i) {
    lay_out(i, i == begin ? start : std::max(start, rows_.shared(i)), rows_.length(i));
    batch_.paths.push_back({rows_.row(i), path_, 0, rows_.scored(i)});
  }
  if (!empty) close_block(block);
}

std::int32_t BatchBuilder::open_block(std::int32_t parent, bool is_chain) {
  batch_.blocks.push_back({batch_.tokens.size(), 0, parent, 0, is_chain});
  return static_cast<std::int32_t>(batch_.blocks.size()) - 1;
}

void BatchBuilder::close_block(std::int32_t index) {
  Block& block = batch_.blocks[static_cast<std::size_t>(index)];
  block.subtree_end = batch_.tokens.size();
  block.size = block.subtree_end - block.begin;
}

void BatchBuilder::lay_out(std::size_t i, std::size_t from, std::size_t to) {
  path_.resize(from - depth_);
  for (std::size_t position = from; position < to; ++position) {
    batch_.parents.push_back(path_.empty() ? -1 : path_.back());
    path_.push_back(static_cast<std::int32_t>(batch_.tokens.size()));
    batch_.tokens.push_back(rows_.tokens(i)[position]);
    batch_.positions.push_back(static_cast<std::int32_t>(position));
  }
}

}  // namespace proctor
