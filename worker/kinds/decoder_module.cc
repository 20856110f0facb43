#include "worker/kinds/decoder_module.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>
#include <set>

#include "worker/base/clock.h"
#include "worker/kinds/each_request.h"
#include "worker/kinds/image_batches.h"
#include "worker/kinds/options.h"

namespace proctor {
namespace {

constexpr std::int64_t kPatchesOfToken = 4;  // that a tower computes at once, of each token a batch may have

/// Ascending.
std::vector<std::uint32_t> requests_of(const Batch& batch, const ScoringWork& work) {
  std::set<std::uint32_t> requests;
  for (const RowPath& path : batch.paths) requests.insert(static_cast<std::uint32_t>(work.owners[path.row]));
  return {requests.begin(), requests.end()};
}

}  // namespace

DecoderModule::DecoderModule(const Module& module, Device& device, Communicator& gang, const Announce& announce)
    : folder_(read_model_folder(module.path)),
      codec_(folder_, module.add_bos_token),
      rows_(folder_, codec_, row_limit(folder_, module), row_limit_with_images(folder_, module)),
      image_options_(module.image),
      weights_(read_weights(folder_, module, device, gang, announce)),
      images_(folder_.decoder.vocabulary),
      decoder_(folder_.decoder, weights_, gang, &features_),
      prefix_(decoder_, &images_) {
  if (folder_.vision) tower_.emplace(*folder_.vision, weights_);
}

double DecoderModule::seconds_of_products() {
  const at::NoGradGuard no_grad;
  return decoder_.seconds_of_products();
}

/// Where an image's tokens see each other, no batch and no prefix ends among them.
BatchLimits DecoderModule::limits_of(const ShardRun& shard) const {
  BatchLimits limits;
  limits.max_batch_tokens = shard.max_batch_tokens;
  limits.longest_short = static_cast<std::size_t>(folder_.decoder.longest_short());
  if (folder_.decoder.images_attend_themselves && !images_.empty()) limits.prefix_unit = SIZE_MAX;
  return limits;
}

void DecoderModule::forget_images() {
  images_ = ImageSpans(folder_.decoder.vocabulary);
  features_ = {};
}

const ImageProcessor& DecoderModule::image_processor(const ImageOptions& of_task) {
  const ImageOptions options = image_options_.changed_by(of_task);
  if (!processor_ || processor_->first != options) processor_ = {options, image_processor_of(folder_, options)};
  return processor_->second;
}

void DecoderModule::show(ShardImages images, const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) {
  if (images.empty() && images_.empty()) return;
  prefix_.clear();  // its ids are other images'
  forget_images();
  if (images.empty()) return;
  const at::NoGradGuard no_grad;
  const auto started = Clock::now();
  images_ = images.spans();
  features_ =
      image_features(*tower_, images.inputs(), kPatchesOfToken * shard.max_batch_tokens, [&](auto first, auto last) {
        if (first > 0) cleanup.after_batch();
        announce("images " + std::to_string(first + 1) + " to " + std::to_string(last) + " of " +
                 std::to_string(images.inputs().size()));
      });
  images_computed_ += images.inputs().size();
  vision_s_ += seconds_since(started);
  cleanup.after_batch();
}

ScoringWork DecoderModule::one_row_each(const ShardRun& shard, const MakeRow& make) {
  const auto begin = Clock::now();
  ScoringWork work = prefetch_.of(shard, [this, make](std::span<const Request> requests) {
    ScoringWork made(requests.size());
    made.errors = errors_of_each(requests.size(), [&](std::size_t i) {
      ScoredRow row = make(requests[i], made.truncated[i]);
      rows_.in_range(row.tokens);
      made.add(std::move(row), i);
    });
    return made;
  });
  tokenize_s_ += seconds_since(begin);
  return work;
}

std::uint32_t DecoderModule::run_batches(const ScoringWork& work, const ShardRun& shard, BatchCleanup& cleanup,
                                         const Announce& announce, const Compute& compute) {
  const BatchLimits limits = limits_of(shard);
  const std::vector<Batch> batches = make_batches(work.rows, limits);
  for (std::uint32_t b = 0; b < batches.size(); ++b) {
    const std::vector<std::uint32_t> members = requests_of(batches[b], work);
    if (shard.request_by_request(b, members)) {
      run_apart(work, shard, batches[b], b, announce, compute);
    } else {
      announce({"batch " + std::to_string(b + 1) + " of " + std::to_string(batches.size()), b, members});
      prefix_.ensure(batches[b], work.rows, limits, announce);
      compute(batches[b]);
    }
    cleanup.after_batch();
  }
  return static_cast<std::uint32_t>(batches.size());
}

/// Each request's rows in batches of their own.
void DecoderModule::run_apart(const ScoringWork& work, const ShardRun& shard, const Batch& batch, std::uint32_t number,
                              const Announce& announce, const Compute& compute) {
  const BatchLimits limits = limits_of(shard);
  std::map<std::uint32_t, std::vector<std::size_t>> rows_of;  // of each request in this batch
  for (const RowPath& path : batch.paths)
    rows_of[static_cast<std::uint32_t>(work.owners[path.row])].push_back(path.row);
  for (auto& [request, rows] : rows_of) {
    if (shard.left_out(request)) continue;
    announce(
        {"batch " + std::to_string(number + 1) + ", request " + std::to_string(request) + " alone", number, {request}});
    std::vector<Batch> parts = {batch};
    if (rows_of.size() > 1) {  // else this may be a part of a long row
      std::ranges::sort(rows);
      std::vector<ScoredRow> alone;
      for (std::size_t row : rows) alone.push_back(work.rows[row]);
      parts = make_batches(alone, limits);
      for (Batch& part : parts) {
        part.prefix_row = rows[part.prefix_row];
        for (RowPath& path : part.paths) path.row = rows[path.row];
      }
    }
    for (const Batch& part : parts) {
      prefix_.ensure(part, work.rows, limits, announce);
      compute(part);
    }
  }
}

std::uint32_t DecoderModule::score_rows(const ScoringWork& work, const ShardRun& shard, BatchCleanup& cleanup,
                                        const Announce& announce, std::vector<RowScore>& of_rows) {
  of_rows.resize(work.rows.size());
  return run_batches(work, shard, cleanup, announce,
                     [&](const Batch& batch) { score_batch(decoder_, batch, work.rows, prefix_, of_rows); });
}

}  // namespace proctor
