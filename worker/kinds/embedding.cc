#include "worker/kinds/embedding.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "sharding/error.h"
#include "worker/clock.h"
#include "worker/kinds/sentence_settings.h"
#include "worker/models/encoder.h"
#include "worker/models/families.h"
#include "worker/text_codec.h"
#include "worker/tokenizer/unicode.h"

namespace proctor {
namespace {

/// A text as the encoder takes it, and whose it is.
struct TextRow {
  Encoding encoding;
  std::size_t request = 0;
  std::int64_t truncated = 0;  // tokens cut off the right
};

class Embedding final : public OpenModule {
 public:
  Embedding(const Module& module, Device& device, const Announce& announce)
      : folder_(read_model_folder(module.path)),
        settings_(read_sentence_settings(module.path)),
        codec_(folder_, std::nullopt),
        max_tokens_(module.max_length.value_or(settings_.max_tokens.value_or(folder_.max_length))),
        weights_(Checkpoint(module.path), folder_parameters(folder_), folder_sources(folder_),
                 at::TensorOptions().dtype(scalar_type(module.dtype, folder_.checkpoint_dtype)).device(device.torch()),
                 announce),
        encoder_(*folder_.encoder, weights_) {}

  std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) override;
  void drop_batches() override {}
  Computed computed() const override { return {encoder_.tokens_computed(), encoder_.flops_computed(), tokenize_s_}; }
  std::uint64_t bytes_read() const override { return weights_.bytes_read(); }

 private:
  TextRow row_of(const Request& request, std::size_t index);
  void embed(std::span<const TextRow> rows, std::vector<Response>& responses) const;
  at::Tensor pooled(const at::Tensor& states, std::span<const TextRow> rows) const;

  ModelFolder folder_;
  SentenceSettings settings_;
  TextCodec codec_;
  std::int64_t max_tokens_;
  Weights weights_;
  Encoder encoder_;
  double tokenize_s_ = 0;
};

TextRow Embedding::row_of(const Request& request, std::size_t index) {
  std::string text = settings_.prompt(request.ask.value("prompts", std::vector<std::string>{}));
  text += request.parts.at(0);
  if (settings_.lower_case) text = lower_case(text);
  TextRow row{codec_.encode_at_most(text, static_cast<std::size_t>(max_tokens_)), index, 0};
  row.truncated = static_cast<std::int64_t>(row.encoding.truncated);
  for (std::int32_t id : row.encoding.ids)
    if (id < 0 || id >= folder_.encoder->vocabulary)
      throw InputError("token id " + std::to_string(id) + " is outside the model's vocabulary of " +
                       std::to_string(folder_.encoder->vocabulary));
  if (row.encoding.ids.empty()) throw InputError("the text has no token");
  return row;
}

/// Longest texts first, so that neighbours have one length; a batch holds max_batch_tokens, and one text at least.
std::vector<Response> Embedding::run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) {
  const at::NoGradGuard no_grad;
  std::vector<Response> responses(shard.requests.size());
  const auto begin = Clock::now();
  std::vector<TextRow> rows;
  for (std::size_t i = 0; i < shard.requests.size(); ++i) try {
      rows.push_back(row_of(shard.requests[i], i));
    } catch (const InputError& error) {
      responses[i].error = error.what();
    }
  std::ranges::stable_sort(rows, std::greater(), [](const TextRow& row) { return row.encoding.ids.size(); });
  tokenize_s_ += seconds_since(begin);
  std::uint32_t batch = 0;
  for (std::size_t first = 0, last = 0; first < rows.size(); first = last, ++batch) {
    std::int64_t tokens = 0;
    std::vector<std::uint32_t> members;
    for (; last < rows.size(); ++last) {
      const auto more = static_cast<std::int64_t>(rows[last].encoding.ids.size());
      if (last > first && tokens + more > shard.max_batch_tokens) break;
      tokens += more;
      members.push_back(static_cast<std::uint32_t>(rows[last].request));
    }
    const std::span<const TextRow> mine = std::span(rows).subspan(first, last - first);
    std::ranges::sort(members);
    if (!shard.request_by_request(batch, members)) {
      announce({"batch " + std::to_string(batch + 1) + ", " + std::to_string(mine.size()) + " texts", batch, members});
      embed(mine, responses);
    } else {
      for (const TextRow& row : mine) {
        const auto request = static_cast<std::uint32_t>(row.request);
        if (shard.left_out(request)) continue;
        announce({"batch " + std::to_string(batch + 1) + ", request " + std::to_string(request) + " alone",
                  batch,
                  {request}});
        embed({&row, 1}, responses);
      }
    }
    cleanup.after_batch();
  }
  return responses;
}

void Embedding::embed(std::span<const TextRow> rows, std::vector<Response>& responses) const {
  std::vector<std::int32_t> tokens, types;
  std::vector<std::int64_t> lengths;
  for (const TextRow& row : rows) {
    tokens.insert(tokens.end(), row.encoding.ids.begin(), row.encoding.ids.end());
    types.insert(types.end(), row.encoding.type_ids.begin(), row.encoding.type_ids.end());
    lengths.push_back(static_cast<std::int64_t>(row.encoding.ids.size()));
  }
  const at::Tensor vectors = pooled(encoder_.forward(tokens, types, lengths), rows).cpu().contiguous();
  const auto width = static_cast<std::size_t>(vectors.size(1)) * sizeof(float);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::vector<std::uint8_t> bytes(width);
    std::memcpy(bytes.data(), reinterpret_cast<const char*>(vectors.data_ptr<float>()) + i * width, width);
    responses[rows[i].request].value = {nlohmann::json::binary(std::move(bytes)), rows[i].encoding.ids.size(),
                                        rows[i].truncated};
  }
}

/// [texts, hidden], float32.
at::Tensor Embedding::pooled(const at::Tensor& states, std::span<const TextRow> rows) const {
  const at::Tensor out =
      at::empty({static_cast<std::int64_t>(rows.size()), states.size(1)}, states.options().dtype(at::kFloat));
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto length = static_cast<std::int64_t>(rows[i].encoding.ids.size());
    const at::Tensor mine = states.narrow(0, begin, length);
    const at::Tensor vector = settings_.pooling == Pooling::mean  ? mine.to(at::kFloat).mean(0)
                              : settings_.pooling == Pooling::cls ? mine[0].to(at::kFloat)
                                                                  : mine[length - 1].to(at::kFloat);
    out[static_cast<std::int64_t>(i)].copy_(vector);
    begin += length;
  }
  // torch.nn.functional.normalize
  return settings_.normalize ? out / out.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12) : out;
}

}  // namespace

std::shared_ptr<OpenModule> open_embedding(const Module& module, Device& device, Communicator& gang,
                                           const Announce& announce) {
  PROCTOR_CHECK(gang.size() == 1, "an embedding module is held by one worker");
  return std::make_shared<Embedding>(module, device, announce);
}

}  // namespace proctor
