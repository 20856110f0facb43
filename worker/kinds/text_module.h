// What the kinds have in common that compute texts one by one, without a tree: texts as token rows, run in batches
// without padding. Compute thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/checkpoint/text_codec.h"
#include "worker/kinds/kinds.h"
#include "worker/kinds/prefetch.h"

namespace proctor {

/// A text, or a pair, as the network takes it, and whose it is.
struct TextRow {
  Encoding encoding;
  std::vector<std::uint32_t> requests;  ///< ascending; several share a text: the first answers for it
  Tokens decoder = {};                  ///< what an encoder-decoder's decoder is given
  std::size_t attended = 0;             ///< how many of the first tokens are attended; 0: all
  std::size_t part = 0;                 ///< a kind's own: which of several rows this is
  std::size_t to_write = 0;             ///< tokens that a decoder may add

  std::size_t tokens() const { return encoding.ids.size() + decoder.size() + to_write; }
};

/// Rows one after another, as a network takes them.
struct PackedRows {
  Tokens tokens;
  std::vector<std::int32_t> types;
  std::vector<std::int64_t> lengths, attended;
};
PackedRows packed(std::span<const TextRow> rows);

/// scores: one of each row, the answer to its request.
void answer_scores(std::span<const TextRow> rows, const at::Tensor& scores, std::vector<Response>& responses);

/// Batches are of the longest rows first, so that neighbours have one length; each holds max_batch_tokens, and one row
/// at least. What is wrong with a request (also a token id that the model lacks) goes into its response.
class TextModule : public OpenModule {
 public:
  /// The communicator outlives every run().
  TextModule(const Module& module, Device& device, Communicator& gang, const Announce& announce);

  /// One row a request; a kind with several overrides it.
  std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) override;
  void drop_batches() override { prefetch_.drop(); }
  std::uint64_t bytes_read() const final { return weights_.bytes_read(); }

 protected:
  using Compute = std::function<void(std::span<const TextRow>)>;
  /// Called also on another thread, until the next run() or drop_batches(). A kind that overrides run() may need
  /// neither.
  virtual TextRow row_of(const Request& request);
  virtual void compute(std::span<const TextRow> rows, std::vector<Response>& responses) const;

  /// Throws InputError for a row that the network cannot take.
  void check(const TextRow& row) const;
  /// Sorts the rows and runs them in batches numbered from `batch` on; returns the number after the last.
  std::uint32_t run_rows(std::vector<TextRow>& rows, std::uint32_t batch, const ShardRun& shard, BatchCleanup& cleanup,
                         const Announce& announce, const Compute& compute) const;

  const ModelFolder& folder() const { return folder_; }
  const Weights& weights() const { return weights_; }
  TextCodec& codec() { return codec_; }
  double tokenize_s_ = 0;

 private:
  struct Rows {
    std::vector<TextRow> rows;
    std::vector<std::string> errors;  // of each request: why it has no row; "" otherwise
  };
  Rows rows_of(std::span<const Request> requests);

  ModelFolder folder_;
  TextCodec codec_;
  Weights weights_;
  Prefetch<Rows> prefetch_;  // last, since its thread reads the others
};

}  // namespace proctor
