#include "sharding/planner.h"

#include <algorithm>
#include <numeric>

#include "sharding/cost.h"

namespace proctor {
namespace {

constexpr std::size_t kMaxShardBytes = 64u << 20;  // of text: a shard has to fit a frame (wire.h)

struct Bundle {
  std::uint32_t first, last;  // requests [first, last)
  double flops;
  std::size_t bytes;
};

std::vector<Bundle> weigh(const PairWork& work, const ModelFacts& facts) {
  std::vector<Bundle> bundles;
  bundles.reserve(work.bundles.size());
  for (std::size_t i = 0; i < work.bundles.size(); ++i) {
    const auto first = work.bundles[i];
    const auto last =
        i + 1 < work.bundles.size() ? work.bundles[i + 1] : static_cast<std::uint32_t>(work.requests.size());
    double flops = 0;
    std::size_t bytes = 0;
    for (auto r = first; r < last; ++r) {
      const bool shared = r > first && work.requests[r].parts.front() == work.requests[first].parts.front();
      flops += request_flops(facts, work.requests[r], shared);
      for (const std::string& part : work.requests[r].parts) bytes += part.size();
    }
    bundles.push_back({first, last, flops, bytes});
  }
  return bundles;
}

}  // namespace

std::vector<Shard> plan_pair(const PairWork& work, const ModelFacts& facts, double target_flops) {
  std::vector<Bundle> bundles = weigh(work, facts);
  std::stable_sort(bundles.begin(), bundles.end(), [&](const Bundle& a, const Bundle& b) {
    return work.requests[a.first].parts.front() < work.requests[b.first].parts.front();
  });
  const double total = std::accumulate(bundles.begin(), bundles.end(), 0.0,
                                       [](double sum, const Bundle& bundle) { return sum + bundle.flops; });
  const double full = std::min(target_flops, total / 4);
  std::vector<Shard> shards;
  double planned = 0;
  std::size_t bytes = 0;
  for (const Bundle& bundle : bundles) {
    const double size = planned < 0.9 * total ? full : full / 4;
    const bool full_now =
        !shards.empty() && (shards.back().flops + bundle.flops / 2 > size || bytes + bundle.bytes > kMaxShardBytes);
    if (shards.empty() || full_now) {
      shards.push_back({work.module, work.task, {}, 0});
      bytes = 0;
    }
    bytes += bundle.bytes;
    Shard& shard = shards.back();
    for (auto r = bundle.first; r < bundle.last; ++r) shard.requests.push_back(r);
    shard.flops += bundle.flops;
    planned += bundle.flops;
  }
  return shards;
}

std::string describe(std::span<const Shard> shards) {
  std::string text;
  for (const Shard& shard : shards) {
    text += std::to_string(shard.module.value) + "/" + std::to_string(shard.task.value) + ":";
    for (auto request : shard.requests) text += std::to_string(request) + ",";
    text += "\n";
  }
  return text;
}

}  // namespace proctor
