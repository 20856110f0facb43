#include "worker/inference/generation_loop.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include "sharding/planning/cost.h"
#include "worker/attention/tree_attention.h"
#include "worker/batching/row_trie.h"
#include "worker/inference/scoring.h"
#include "worker/kernels/token_tensor.h"

namespace proctor {
/// The rows under way, all of them long or none (DecoderConfig::longest_short), each in a lane of the cache.
class GenerationLoop::Lanes {
 public:
  Lanes(GenerationLoop& loop, std::vector<GenerationRow*> rows, bool is_long, const BatchLimits& limits,
        const Announce& announce)
      : loop_(loop),
        decoder_(loop.decoder_),
        choice_(loop.codec_, loop.eos_ids_, LogitColumns(loop.decoder_)),
        rows_(std::move(rows)),
        limits_(limits),
        is_long_(is_long),
        announce_(announce) {
    for (const GenerationRow* row : rows_) prompts_.push_back({so_far(*row), {0}});
    shared_ = common_prefix(prompts_, limits);
    std::int64_t longest = 0;
    for (const GenerationRow* row : rows_) longest = std::max(longest, positions_of(*row));
    const auto count = static_cast<std::int64_t>(rows_.size()), most = positions_at_once(decoder_, limits);
    const std::int64_t lanes = std::clamp<std::int64_t>(most / longest, 1, count);
    limits_.max_rows = static_cast<std::size_t>(lanes == count ? count : std::max<std::int64_t>(1, lanes / 4));
    limits_.min_prefix = shared_;
    if (is_long) limits_.longest_short = 0;
    batches_ = make_batches(prompts_, limits_);
    longest_first();
    const DecoderConfig& config = decoder_.config();
    const std::int64_t positions = lanes == count ? lanes * longest : std::max(most, longest);
    cache_.emplace(config.layers, positions, config.kv_heads, config.head_dim, decoder_.options());
    cache_->make_room(lanes, longest);
  }

  void run() {
    for (std::size_t next = 0;;) {
      while (next < batches_.size() && has_room(next)) admit(batches_[next], next + 1), ++next;
      if (active_.empty() && next == batches_.size()) return;
      if (!active_.empty()) step();
    }
  }
  /// Of which keys and values are kept, in all lanes.
  static std::int64_t positions_at_once(const Decoder& decoder, const BatchLimits& limits) {
    const bool gpu = !decoder.options().device().is_cpu();
    return static_cast<std::int64_t>(cached_batches(gpu) * static_cast<double>(limits.max_batch_tokens));
  }
  /// Rows that grew too long to be short ones, before they were finished.
  const std::vector<GenerationRow*>& outgrown() const { return outgrown_; }

 private:
  struct Active {
    GenerationRow* row;
    std::int32_t token;  // chosen, not yet computed
    std::int32_t shift;  // from its position to what turns it, behind images
  };

  static Tokens so_far(const GenerationRow& row) {
    Tokens tokens = row.prompt;
    tokens.insert(tokens.end(), row.generated.begin(), row.generated.end());
    return tokens;
  }
  bool outgrows(const GenerationRow& row) const {
    const auto tokens = static_cast<std::int64_t>(row.prompt.size() + row.generated.size());
    return !is_long_ && tokens > decoder_.config().longest_short();
  }

  /// In its lane, at most.
  std::int64_t positions_of(const GenerationRow& row) const {
    return static_cast<std::int64_t>(row.prompt.size() - shared_) + row.max_new;
  }
  std::int64_t positions_of(const Batch& batch) const {
    std::int64_t most = 0;
    for (const RowPath& path : batch.paths) most = std::max(most, positions_of(*rows_[path.row]));
    return most;
  }

  /// So that lanes can be shorter, and more, as it goes on; where no batch profits from the prefix of the one before.
  void longest_first() {
    if (std::ranges::all_of(batches_, [&](const Batch& batch) { return batch.prefix_length == shared_; }))
      std::ranges::stable_sort(batches_, std::greater(), [&](const Batch& batch) { return positions_of(batch); });
  }

  /// Whether all rows of this batch find a lane; where not, lanes are made shorter if that helps.
  bool has_room(std::size_t next) {
    const auto rows = static_cast<std::int64_t>(batches_[next].paths.size());
    if (rows <= cache_->room()) return true;
    std::int64_t longest = 0;
    for (std::size_t i = next; i < batches_.size(); ++i) longest = std::max(longest, positions_of(batches_[i]));
    for (const Active& active : active_) longest = std::max(longest, positions_of(*active.row));
    return cache_->make_room(rows, longest);
  }

  /// Computes the batch's prompts, then chooses the first token of each.
  void admit(const Batch& batch, std::size_t number) {
    announce_("prompts " + std::to_string(number) + " of " + std::to_string(batches_.size()));
    PrefixCache& prefix = loop_.prefix_;
    prefix.ensure(batch, prompts_, limits_, announce_);
    const std::int64_t first = cache_->lanes();
    const auto behind = static_cast<std::int64_t>(batch.prefix_length - shared_);  // of the prefix, in the row's lane
    std::vector<at::Tensor> slots;
    const at::Device device = decoder_.options().device();
    for (const RowPath& path : batch.paths) {
      slots.push_back(token_tensor(path.slots, device));
      cache_->add_lane(behind + static_cast<std::int64_t>(path.slots.size()));
    }
    const TreeAttention attention(batch, decoder_.config(), decoder_.options(), prefix.keys(), prefix.images());
    const std::vector<Place> places = prefix.places(batch);
    const Attend attend = [&](auto layer, const auto& q, const auto& k, const auto& v) {
      for (std::size_t i = 0; i < slots.size(); ++i) {
        const std::int64_t lane = first + static_cast<std::int64_t>(i), shared = static_cast<std::int64_t>(shared_);
        if (behind > 0)
          cache_->write(layer, lane, 0, prefix.keys().keys(layer).narrow(0, shared, behind),
                        prefix.keys().values(layer).narrow(0, shared, behind));
        cache_->write(layer, lane, behind, k.index_select(0, slots[i]), v.index_select(0, slots[i]));
      }
      return attention(layer, q, k, v);
    };
    const std::vector<std::int32_t> last = last_slots(batch);
    const at::Tensor states = decoder_.forward(batch.tokens, batch.positions, attend,
                                               {.tokens = last, .of_long_texts = batch.is_long, .places = places});
    for (const RowPath& path : batch.paths) active_.push_back({rows_[path.row], -1, shift_of(*rows_[path.row])});
    choose(decoder_.logits(states), static_cast<std::size_t>(first));
    if (shared_ > 0) prefix.ensure(prompts_[0].tokens, shared_, batch.is_long, limits_, announce_);
  }

  std::int32_t shift_of(const GenerationRow& row) const {
    if (!loop_.prefix_.has_places()) return 0;
    return count_behind(row.prompt, *loop_.prefix_.images()) - static_cast<std::int32_t>(row.prompt.size());
  }

  /// One token of every active row.
  void step() {
    announce_("decode step " + std::to_string(++steps_) + ", " + std::to_string(active_.size()) + " rows");
    Tokens tokens;
    std::vector<std::int32_t> positions;
    std::vector<Place> places;
    for (std::size_t i = 0; i < active_.size(); ++i) {
      tokens.push_back(active_[i].token);
      positions.push_back(
          static_cast<std::int32_t>(static_cast<std::int64_t>(shared_) + cache_->length(static_cast<std::int64_t>(i))));
    }
    if (loop_.prefix_.has_places())
      for (std::size_t i = 0; i < active_.size(); ++i) {
        const std::int32_t at = positions[i] + active_[i].shift;
        places.push_back({at, at, at});
      }
    cache_->begin_step();
    const CachedAttention attention(*cache_, decoder_.config(), decoder_.options(),
                                    shared_ > 0 ? &loop_.prefix_.keys() : nullptr);
    const at::Tensor states =
        decoder_.forward(tokens, positions, std::cref(attention),
                         {.products = Products::streamed, .of_long_texts = is_long_, .places = places});
    cache_->end_step();
    choose(decoder_.logits(states, Products::streamed), 0);
  }

  /// The next token of the rows from `first` on; those that are finished leave. logits: of Decoder::logits.
  void choose(const at::Tensor& logits, std::size_t first) {
    std::vector<GenerationRow*> rows;
    for (std::size_t i = first; i < active_.size(); ++i) rows.push_back(active_[i].row);
    const std::vector<bool> finished = choice_(logits, rows);
    for (std::size_t i = active_.size(); i-- > first;) {  // backwards: a lane that leaves is filled by the last one
      if (!finished[i - first] && outgrows(*active_[i].row)) outgrown_.push_back(active_[i].row);
      if (finished[i - first] || outgrows(*active_[i].row))
        leave(i);
      else
        active_[i].token = active_[i].row->generated.back();
    }
  }

  void leave(std::size_t lane) {
    cache_->remove_lane(static_cast<std::int64_t>(lane));
    active_[lane] = active_.back();
    active_.pop_back();
  }

  GenerationLoop& loop_;
  const Decoder& decoder_;
  TokenChoice choice_;
  std::vector<GenerationRow*> rows_;
  BatchLimits limits_;
  bool is_long_;
  const Announce& announce_;
  std::vector<ScoredRow> prompts_;
  std::size_t shared_ = 0;  // tokens of the prefix that no lane holds
  std::vector<Batch> batches_;
  std::optional<KvCache> cache_;
  std::vector<Active> active_;  // of each lane in use
  std::vector<GenerationRow*> outgrown_;
  std::uint64_t steps_ = 0;
};

/// Neighbours that share at least half of the first one's prompt, and fill as many lanes as there would be without
/// them, are run by themselves: their lanes hold what they do not share, so that more rows take each step. The others
/// come last, together.
std::vector<std::vector<GenerationRow*>> GenerationLoop::groups_of(const std::vector<GenerationRow*>& rows,
                                                                   const BatchLimits& limits) const {
  std::vector<std::vector<GenerationRow*>> groups;
  std::vector<GenerationRow*> others;
  std::int64_t longest = 1;
  for (const GenerationRow* row : rows)
    longest = std::max(longest, static_cast<std::int64_t>(row->prompt.size()) + row->max_new);
  const auto lanes = static_cast<std::size_t>(Lanes::positions_at_once(decoder_, limits) / longest),
             least = std::max<std::size_t>(2, lanes);
  if (rows.empty()) return {};
  if (rows.size() <= least) return {rows};
  for (std::size_t begin = 0, end = 0; begin < rows.size(); begin = end) {
    const Tokens& first = rows[begin]->prompt;
    const std::size_t wanted = std::max(limits.prefix_unit, first.size() / 2);
    for (end = begin + 1; end < rows.size() && shared_tokens(first, rows[end]->prompt) >= wanted;) ++end;
    const auto from = rows.begin() + static_cast<std::ptrdiff_t>(begin),
               to = rows.begin() + static_cast<std::ptrdiff_t>(end);
    if (end - begin >= least && end - begin < rows.size())
      groups.emplace_back(from, to);
    else
      others.insert(others.end(), from, to);
  }
  if (!others.empty()) groups.push_back(std::move(others));
  return groups;
}

/// A row that outgrows the short ones is computed anew from its beginning, since all its keys turn otherwise.
void GenerationLoop::run(std::span<GenerationRow> rows, const BatchLimits& limits, const Announce& announce) {
  std::vector<GenerationRow*> short_rows, long_rows;
  for (GenerationRow& row : rows) {
    const bool is_long = static_cast<std::int64_t>(row.prompt.size()) > decoder_.config().longest_short();
    (is_long ? long_rows : short_rows).push_back(&row);
  }
  for (std::vector<GenerationRow*>& group : groups_of(short_rows, limits)) {
    Lanes lanes(*this, std::move(group), false, limits, announce);
    lanes.run();
    for (GenerationRow* row : lanes.outgrown()) long_rows.push_back(row);
  }
  std::ranges::sort(long_rows);  // as they were given
  for (std::vector<GenerationRow*>& group : groups_of(long_rows, limits))
    Lanes(*this, std::move(group), true, limits, announce).run();
}

}  // namespace proctor
