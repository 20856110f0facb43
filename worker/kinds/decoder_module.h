// What the kinds over a decoder have in common: the model, or this member's share of it, and rows run in trie batches.
// Compute thread only.
#pragma once

#include <functional>
#include <vector>

#include "worker/attention/prefix_cache.h"
#include "worker/batching/batcher.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/checkpoint/text_codec.h"
#include "worker/inference/scoring.h"
#include "worker/kinds/kinds.h"
#include "worker/kinds/prefetch.h"
#include "worker/kinds/request_rows.h"
#include "worker/models/decoder.h"

namespace proctor {

class DecoderModule : public OpenModule {
 public:
  DecoderModule(const Module& module, Device& device, Communicator& gang, const Announce& announce);

  void drop_batches() override {
    prefetch_.drop();
    prefix_.clear();
  }
  Computed computed() const override { return {decoder_.tokens_computed(), decoder_.flops_computed(), tokenize_s_}; }
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
  /// A row a request, as `make` has it (request, tokens it cut -> row); what it throws as InputError, and a token that
  /// the model lacks, is its request's error. Called also on another thread, until the next one_row_each or
  /// drop_batches.
  using MakeRow = std::function<ScoredRow(const Request&, std::int64_t&)>;
  ScoringWork one_row_each(const ShardRun& shard, const MakeRow& make);
  static BatchLimits limits_of(const ShardRun& shard);

  const ModelFolder& folder() const { return folder_; }
  TextCodec& codec() { return codec_; }
  const RequestRows& rows() const { return rows_; }
  const Decoder& decoder() const { return decoder_; }
  PrefixCache& prefix() { return prefix_; }
  double tokenize_s_ = 0;

 private:
  void run_apart(const ScoringWork& work, const ShardRun& shard, const Batch& batch, std::uint32_t number,
                 const Announce& announce, const Compute& compute);

  ModelFolder folder_;
  TextCodec codec_;
  RequestRows rows_;
  Weights weights_;
  Decoder decoder_;
  PrefixCache prefix_;
  Prefetch<ScoringWork> prefetch_;  // last, since its thread reads the others
};

}  // namespace proctor
