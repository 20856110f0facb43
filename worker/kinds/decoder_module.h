// What the kinds over a decoder have in common: the model, or this member's share of it, and rows run in trie batches.
// Compute thread only.
#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "worker/attention/prefix_cache.h"
#include "worker/batching/batcher.h"
#include "worker/checkpoint/image_settings.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/checkpoint/text_codec.h"
#include "worker/inference/scoring.h"
#include "worker/kinds/kinds.h"
#include "worker/kinds/prefetch.h"
#include "worker/kinds/request_rows.h"
#include "worker/kinds/shard_images.h"
#include "worker/models/decoder.h"
#include "worker/models/vision/vision_tower.h"

namespace proctor {

class DecoderModule : public OpenModule {
 public:
  DecoderModule(const Module& module, Device& device, Communicator& gang, const Announce& announce);

  void drop_batches() override {
    prefetch_.drop();
    forget_images();
    prefix_.clear();
  }
  Computed computed() const override {
    const double of_images = tower_ ? tower_->flops_computed() : 0;
    const std::uint64_t patches = tower_ ? tower_->patches_computed() : 0;
    return {decoder_.tokens_computed(),
            decoder_.flops_computed() + of_images,
            tokenize_s_,
            images_computed_,
            patches,
            vision_s_};
  }
  double seconds_of_products() override;
  std::uint64_t bytes_read() const override { return weights_.bytes_read(); }

 protected:
  /// What is computed of a batch of the work's rows, the prefix being the batch's already.
  using Compute = std::function<void(const Batch& batch)>;
  /// Collective. Every row in batches; a batch that is to run request by request, or holds one set aside, in batches of
  /// each request's own. Returns how many batches that were.
  std::uint32_t run_batches(const ScoringWork& work, const ShardRun& shard, BatchCleanup& cleanup,
                            const Announce& announce, const Compute& compute);
  /// Collective. run_batches that scores: of each row.
  std::uint32_t score_rows(const ScoringWork& work, const ShardRun& shard, BatchCleanup& cleanup,
                           const Announce& announce, std::vector<RowScore>& of_rows);
  /// Computes the features of a shard's images, in batches that are announced, and forgets the pixels; what was shown
  /// before is forgotten too.
  void show(ShardImages images, const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce);
  /// A row a request, as `make` has it (request, tokens it cut -> row); what it throws as InputError, and a token that
  /// the model lacks, is its request's error. Called also on another thread, until the next one_row_each or
  /// drop_batches.
  using MakeRow = std::function<ScoredRow(const Request&, std::int64_t&)>;
  ScoringWork one_row_each(const ShardRun& shard, const MakeRow& make);
  BatchLimits limits_of(const ShardRun& shard) const;

  /// Of a folder that reads images, as the module and the task want it. On the thread that makes rows; valid until the
  /// next call.
  const ImageProcessor& image_processor(const ImageOptions& of_task);
  const ModelFolder& folder() const { return folder_; }
  TextCodec& codec() { return codec_; }
  const RequestRows& rows() const { return rows_; }
  const Decoder& decoder() const { return decoder_; }
  PrefixCache& prefix() { return prefix_; }
  double tokenize_s_ = 0;

 private:
  void run_apart(const ScoringWork& work, const ShardRun& shard, const Batch& batch, std::uint32_t number,
                 const Announce& announce, const Compute& compute);
  void forget_images();

  ModelFolder folder_;
  TextCodec codec_;
  RequestRows rows_;
  ImageOptions image_options_;
  std::optional<std::pair<ImageOptions, ImageProcessor>> processor_;  // the one read last
  Weights weights_;
  std::optional<VisionTower> tower_;  // where the folder has one
  ImageSpans images_;                 // of the shard's rows
  ImageFeatures features_;            // the same
  std::uint64_t images_computed_ = 0;
  double vision_s_ = 0;
  Decoder decoder_;
  PrefixCache prefix_;
  Prefetch<ScoringWork> prefetch_;  // last, since its thread reads the others
};

}  // namespace proctor
