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
class Prefetch {
 public:
  using Make = std::function<Made(std::span<const Request>)>;
  using MakeWithImages = std::function<Made(std::span<const Request>, const ImageOptions&)>;

  /// Of shard.requests; shard.next begins. Throws what `make` does.
  Made of(const ShardRun& shard, const Make& make) {
    return of(shard, [make](std::span<const Request> requests, const ImageOptions&) { return make(requests); });
  }
  /// The same, told what the shard's task changes of how images are prepared.
  Made of(const ShardRun& shard, const MakeWithImages& make) {
    const bool predicted =
        coming_.valid() && std::ranges::equal(predicted_, shard.requests) && predicted_image_ == shard.image;
    if (!predicted) drop();
    Made made = predicted ? coming_.get() : make(shard.requests, shard.image);
    predicted_.assign(shard.next.begin(), shard.next.end());
    predicted_image_ = shard.next_image;
    if (!predicted_.empty())
      coming_ = std::async(std::launch::async, [this, make] { return make(predicted_, predicted_image_); });
    return made;
  }
  /// Waits for the thread, then forgets.
  void drop() {
    if (coming_.valid()) coming_.wait();
    coming_ = {};
    predicted_.clear();
  }

 private:
  std::vector<Request> predicted_;
  ImageOptions predicted_image_;
  std::future<Made> coming_;
};

}  // namespace proctor
