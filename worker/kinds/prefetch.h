// What a kind makes of requests before it computes: made of the shard that probably comes next, on a thread of its own,
// while this one is computed. What was made ahead is what would be made anyway, so that a wrong guess costs only time.
#pragma once

#include <algorithm>
#include <functional>
#include <future>
#include <span>
#include <utility>
#include <vector>

#include "worker/kinds/kinds.h"

namespace proctor {

/// Compute thread only. What `make` reads outlives drop(), and nothing else writes it between an of() and the next of()
/// or drop(): a codec, whose caches grow, encodes in `make` alone.
template <class Made>
class MadeAhead {
 public:
  using Make = std::function<Made(std::span<const Request>)>;

  /// Of shard.requests; shard.next begins. Throws what `make` does.
  Made of(const ShardRun& shard, const Make& make) {
    const bool foreseen = coming_.valid() && std::ranges::equal(foreseen_, shard.requests);
    if (!foreseen) drop();
    Made made = foreseen ? coming_.get() : make(shard.requests);
    foreseen_.assign(shard.next.begin(), shard.next.end());
    if (!foreseen_.empty()) coming_ = std::async(std::launch::async, [this, make] { return make(foreseen_); });
    return made;
  }
  /// Waits for the thread, then forgets.
  void drop() {
    if (coming_.valid()) coming_.wait();
    coming_ = {};
    foreseen_.clear();
  }

 private:
  std::vector<Request> foreseen_;
  std::future<Made> coming_;
};

}  // namespace proctor
