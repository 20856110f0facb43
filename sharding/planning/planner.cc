#include "sharding/planning/planner.h"

#include <algorithm>
#include <numeric>
#include <string_view>

namespace proctor {
namespace {

constexpr std::size_t kMaxShardBytes = 64u << 20;  // of text: a shard has to fit a frame (wire.h)

constexpr std::size_t kMinSharedBytes = 64;  // below, tokens may differ where the texts agree

struct Bundle {
  std::uint32_t first, last;  // requests [first, last)
  std::size_t bytes = 0;
  std::size_t generating = 0;
  RequestCost cost = {};
  std::vector<std::string_view> images = {};  // hashes
};

/// By the images, so that those with the same ones are neighbours wherever they stand; then by the contexts.
bool stands_before(const CellWork& work, const Bundle& a, const Bundle& b) {
  if (a.images != b.images) return a.images < b.images;
  const Request &one = work.requests[a.first], &other = work.requests[b.first];
  if (a.images.empty()) return one.parts.front() < other.parts.front();
  return std::ranges::lexicographical_compare(context_of(one), context_of(other), [](const Part& x, const Part& y) {
    const auto *text = std::get_if<Text>(&x), *its_text = std::get_if<Text>(&y);
    return text && its_text ? *text < *its_text : x.index() < y.index();  // where an image lies does not matter
  });
}

/// Ordered by what they have in common.
std::vector<Bundle> bundles_of(const CellWork& work) {
  std::vector<Bundle> bundles;
  bundles.reserve(work.bundles.size());
  for (std::size_t i = 0; i < work.bundles.size(); ++i) {
    const bool more = i + 1 < work.bundles.size();
    bundles.push_back({work.bundles[i], more ? work.bundles[i + 1] : static_cast<std::uint32_t>(work.requests.size())});
    for (const Part& part : work.requests[work.bundles[i]].parts)
      if (const auto* image = std::get_if<Image>(&part)) bundles.back().images.push_back(image->hash);
  }
  std::ranges::stable_sort(bundles, [&](const Bundle& a, const Bundle& b) { return stands_before(work, a, b); });
  return bundles;
}

std::size_t shared_bytes(const Text& a, const Text& b) {
  const std::size_t bound = std::min(a.size(), b.size());
  const auto end = std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(bound), b.begin()).first;
  const auto shared = static_cast<std::size_t>(end - a.begin());
  return shared < kMinSharedBytes ? 0 : shared;
}

SharedBeginning shared_beginning(const Request& one, const Request& other) {
  const std::span<const Part> a = context_of(one), b = context_of(other);
  SharedBeginning shared;
  for (; shared.parts < std::min(a.size(), b.size()); ++shared.parts) {
    const Part &mine = a[shared.parts], &its = b[shared.parts];
    if (is_same(mine, its)) continue;
    const auto *text = std::get_if<Text>(&mine), *its_text = std::get_if<Text>(&its);
    if (text && its_text) shared.bytes = shared_bytes(*text, *its_text);
    break;
  }
  return shared;
}

/// Each request costs what is not in the one before it, where the model can use that.
void weigh(std::vector<Bundle>& bundles, const CellWork& work, const ModelFacts& facts) {
  const Request* previous = nullptr;
  for (Bundle& bundle : bundles)
    for (auto r = bundle.first; r < bundle.last; ++r) {
      const Request& request = work.requests[r];
      const SharedBeginning shared =
          previous && facts.shares_beginnings ? shared_beginning(*previous, request) : SharedBeginning{};
      const RequestCost cost = request_cost(facts, request, shared);
      bundle.cost.flops += cost.flops;
      bundle.cost.tokens += cost.tokens;
      for (const Part& part : request.parts) bundle.bytes += text_bytes(part);
      bundle.generating += std::holds_alternative<Generate>(request.ask);
      previous = &request;
    }
}

}  // namespace

std::vector<Shard> plan_cell(const CellWork& work, const ModelFacts& facts, const ShardTarget& target) {
  std::vector<Bundle> bundles = bundles_of(work);
  weigh(bundles, work, facts);
  const double total = std::accumulate(bundles.begin(), bundles.end(), 0.0,
                                       [](double sum, const Bundle& bundle) { return sum + bundle.cost.flops; });
  const double full = std::min(target.flops, total / 4);
  std::vector<Shard> shards;
  double planned = 0;
  std::size_t bytes = 0, generating = 0;
  for (const Bundle& bundle : bundles) {
    const double size = planned < 0.9 * total || bundle.generating ? full : full / 4;
    const bool holds_enough = generating == 0 || generating >= target.generating;
    const bool full_now = !shards.empty() && ((holds_enough && shards.back().flops + bundle.cost.flops / 2 > size) ||
                                              bytes + bundle.bytes > kMaxShardBytes);
    if (shards.empty() || full_now) {
      shards.push_back({work.module, work.task, {}});
      bytes = generating = 0;
    }
    bytes += bundle.bytes;
    generating += bundle.generating;
    Shard& shard = shards.back();
    for (auto r = bundle.first; r < bundle.last; ++r) shard.requests.push_back(r);
    shard.flops += bundle.cost.flops;
    shard.tokens += bundle.cost.tokens;
    planned += bundle.cost.flops;
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
