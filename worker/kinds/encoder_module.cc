#include "worker/kinds/encoder_module.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "sharding/error.h"
#include "worker/clock.h"
#include "worker/models/families.h"

namespace proctor {
namespace {

void check(const Encoding& encoding, const EncoderConfig& config) {
  if (encoding.ids.empty()) throw InputError("the text has no token");
  for (std::int32_t id : encoding.ids)
    if (id < 0 || id >= config.vocabulary)
      throw InputError("token id " + std::to_string(id) + " is outside the model's vocabulary of " +
                       std::to_string(config.vocabulary));
  for (std::int32_t type : encoding.type_ids)
    if (type < 0 || type >= config.types)
      throw InputError("token type " + std::to_string(type) + " is not one of the model's " +
                       std::to_string(config.types));
}

}  // namespace

EncoderModule::EncoderModule(const Module& module, Device& device, Communicator& gang, const Announce& announce)
    : folder_(read_model_folder(module.path)),
      codec_(folder_, std::nullopt),
      weights_(Checkpoint(module.path), folder_parameters(folder_), folder_sources(folder_),
               at::TensorOptions().dtype(scalar_type(module.dtype, folder_.checkpoint_dtype)).device(device.torch()),
               announce),
      encoder_(*folder_.encoder, weights_) {
  PROCTOR_CHECK(gang.size() == 1, "an encoder is held by one worker");
}

std::vector<TextRow> EncoderModule::text_rows(std::span<const Request> requests, std::vector<Response>& responses) {
  const auto begin = Clock::now();
  std::vector<TextRow> rows;
  for (std::size_t i = 0; i < requests.size(); ++i) try {
      TextRow row{encode(requests[i]), i};
      check(row.encoding, encoder_.config());
      rows.push_back(std::move(row));
    } catch (const InputError& error) {
      responses[i].error = error.what();
    }
  std::ranges::stable_sort(rows, std::greater(), [](const TextRow& row) { return row.encoding.ids.size(); });
  tokenize_s_ += seconds_since(begin);
  return rows;
}

std::vector<Response> EncoderModule::run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) {
  const at::NoGradGuard no_grad;
  std::vector<Response> responses(shard.requests.size());
  const std::vector<TextRow> rows = text_rows(shard.requests, responses);
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
    const std::string name = "batch " + std::to_string(batch + 1);
    std::ranges::sort(members);
    if (!shard.request_by_request(batch, members)) {
      announce({name + ", " + std::to_string(mine.size()) + " texts", batch, members});
      compute(mine, responses);
    } else {
      for (const TextRow& row : mine) {
        const auto request = static_cast<std::uint32_t>(row.request);
        if (shard.left_out(request)) continue;
        announce({name + ", request " + std::to_string(request) + " alone", batch, {request}});
        compute({&row, 1}, responses);
      }
    }
    cleanup.after_batch();
  }
  return responses;
}

void EncoderModule::compute(std::span<const TextRow> rows, std::vector<Response>& responses) const {
  std::vector<std::int32_t> tokens, types;
  std::vector<std::int64_t> lengths;
  for (const TextRow& row : rows) {
    tokens.insert(tokens.end(), row.encoding.ids.begin(), row.encoding.ids.end());
    types.insert(types.end(), row.encoding.type_ids.begin(), row.encoding.type_ids.end());
    lengths.push_back(static_cast<std::int64_t>(row.encoding.ids.size()));
  }
  answer(rows, encoder_.forward(tokens, types, lengths), responses);
}

}  // namespace proctor
