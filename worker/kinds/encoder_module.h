// What the kinds over an encoder have in common: texts as token rows, run in batches without padding. Compute thread
// only.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "worker/kinds/kinds.h"
#include "worker/model_folder.h"
#include "worker/models/encoder.h"
#include "worker/text_codec.h"

namespace proctor {

/// A text, or a pair, as the encoder takes it, and whose it is.
struct TextRow {
  Encoding encoding;
  std::size_t request = 0;
};

/// One row a request. Batches are of the longest rows first, so that neighbours have one length; each holds
/// max_batch_tokens, and one row at least. What is wrong with a request (also a token id that the model lacks) goes
/// into its response.
class EncoderModule : public OpenModule {
 public:
  /// The gang has one member.
  EncoderModule(const Module& module, Device& device, Communicator& gang, const Announce& announce);

  std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) final;
  void drop_batches() final {}
  Computed computed() const final { return {encoder_.tokens_computed(), encoder_.flops_computed(), tokenize_s_}; }
  std::uint64_t bytes_read() const final { return weights_.bytes_read(); }

 protected:
  virtual Encoding encode(const Request& request) = 0;
  /// `states`: the last layer's of the rows, one after another, [tokens, hidden].
  virtual void answer(std::span<const TextRow> rows, const at::Tensor& states,
                      std::vector<Response>& responses) const = 0;

  const ModelFolder& folder() const { return folder_; }
  const Encoder& encoder() const { return encoder_; }
  TextCodec& codec() { return codec_; }

 private:
  std::vector<TextRow> text_rows(std::span<const Request> requests, std::vector<Response>& responses);
  void compute(std::span<const TextRow> rows, std::vector<Response>& responses) const;

  ModelFolder folder_;
  TextCodec codec_;
  Weights weights_;
  Encoder encoder_;
  double tokenize_s_ = 0;
};

}  // namespace proctor
