// What the kinds over an encoder have in common: texts as token rows, run in batches without padding. Compute thread
// only.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <vector>

#include "worker/kinds/kinds.h"
#include "worker/models/encoder.h"
#include "worker/tokenizer/tokenizer.h"

namespace proctor {

/// A text, or a pair, as the encoder takes it, and whose it is.
struct TextRow {
  Encoding encoding;
  std::size_t request = 0;
};

/// One row a request. What is wrong with one (also a token id that the model lacks) goes into its response.
std::vector<TextRow> text_rows(std::span<const Request> requests, const EncoderConfig& config,
                               const std::function<Encoding(const Request&)>& encode, std::vector<Response>& responses);

/// Longest rows first, so that neighbours have one length; a batch holds max_batch_tokens, and one row at least.
void run_batches(std::vector<TextRow> rows, const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce,
                 const std::function<void(std::span<const TextRow>)>& compute);

/// The last layer's states of the rows, one after another: [tokens, hidden].
at::Tensor states_of(const Encoder& encoder, std::span<const TextRow> rows);

}  // namespace proctor
