#include "worker/kinds/text_module.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "sharding/protocol/error.h"
#include "worker/base/clock.h"
#include "worker/kinds/each_request.h"
#include "worker/kinds/score.h"

namespace proctor {

PackedRows packed(std::span<const TextRow> rows) {
  PackedRows all;
  for (const TextRow& row : rows) {
    all.tokens.insert(all.tokens.end(), row.encoding.ids.begin(), row.encoding.ids.end());
    all.types.insert(all.types.end(), row.encoding.type_ids.begin(), row.encoding.type_ids.end());
    all.lengths.push_back(static_cast<std::int64_t>(row.encoding.ids.size()));
    all.attended.push_back(row.attended > 0 ? static_cast<std::int64_t>(row.attended) : all.lengths.back());
  }
  return all;
}

void answer_scores(std::span<const TextRow> rows, const at::Tensor& scores, std::vector<Response>& responses) {
  const at::Tensor all = scores.to(at::kDouble).cpu().contiguous();
  for (std::size_t i = 0; i < rows.size(); ++i)
    answer_score(responses[rows[i].requests[0]], all.data_ptr<double>()[i], rows[i].encoding.ids.size(),
                 rows[i].encoding.truncated);
}

TextModule::TextModule(const Module& module, Device& device, Communicator& gang, const Announce& announce)
    : folder_(read_model_folder(module.path)),
      codec_(folder_, module.add_bos_token),
      weights_(read_weights(folder_, module, device, gang, announce)) {}

TextRow TextModule::row_of(const Request&) {
  PROCTOR_CHECK(false, "a kind that does not override run() makes rows");
  return {};
}

void TextModule::compute(std::span<const TextRow>, std::vector<Response>&) const {
  PROCTOR_CHECK(false, "a kind that does not override run() computes rows");
}

void TextModule::check(const TextRow& row) const {
  const std::int64_t vocabulary = folder_.vocabulary(), types = folder_.encoder ? folder_.encoder->types : 0;
  if (row.encoding.ids.empty()) throw InputError("the text has no token");
  for (const auto* ids : {&row.encoding.ids, &row.decoder})
    for (std::int32_t id : *ids)
      if (id < 0 || id >= vocabulary)
        throw InputError("token id " + std::to_string(id) + " is outside the model's vocabulary of " +
                         std::to_string(vocabulary));
  for (std::int32_t type : row.encoding.type_ids)
    if (types > 0 && (type < 0 || type >= types))
      throw InputError("token type " + std::to_string(type) + " is not one of the model's " + std::to_string(types));
}

TextModule::Rows TextModule::rows_of(std::span<const Request> requests) {
  Rows made;
  made.errors = errors_of_each(requests.size(), [&](std::uint32_t i) {
    TextRow row = row_of(requests[i]);
    row.requests = {i};
    check(row);
    made.rows.push_back(std::move(row));
  });
  return made;
}

std::vector<Response> TextModule::run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) {
  const at::NoGradGuard no_grad;
  const auto begin = Clock::now();
  Rows made = prefetch_.of(shard, [this](std::span<const Request> requests) { return rows_of(requests); });
  std::vector<Response> responses = responses_with(made.errors);
  tokenize_s_ += seconds_since(begin);
  run_rows(made.rows, 0, shard, cleanup, announce, [&](std::span<const TextRow> batch) { compute(batch, responses); });
  return responses;
}

std::uint32_t TextModule::run_rows(std::vector<TextRow>& rows, std::uint32_t batch, const ShardRun& shard,
                                   BatchCleanup& cleanup, const Announce& announce, const Compute& compute) const {
  std::ranges::stable_sort(rows, std::greater(), [](const TextRow& row) { return row.encoding.ids.size(); });
  for (std::size_t first = 0, last = 0; first < rows.size(); first = last, ++batch) {
    std::int64_t tokens = 0;
    std::vector<std::uint32_t> members;
    for (; last < rows.size(); ++last) {
      const auto more = static_cast<std::int64_t>(rows[last].tokens());
      if (last > first && tokens + more > shard.max_batch_tokens) break;
      tokens += more;
      members.insert(members.end(), rows[last].requests.begin(), rows[last].requests.end());
    }
    const std::span<const TextRow> mine = std::span(rows).subspan(first, last - first);
    const std::string name = "batch " + std::to_string(batch + 1);
    std::ranges::sort(members);
    if (!shard.request_by_request(batch, members)) {
      announce({name + ", " + std::to_string(mine.size()) + " texts", batch, members});
      compute(mine);
    } else {
      for (const TextRow& row : mine) {
        if (shard.left_out(row.requests[0])) continue;
        announce({name + ", request " + std::to_string(row.requests[0]) + " alone", batch, {row.requests[0]}});
        compute({&row, 1});
      }
    }
    cleanup.after_batch();
  }
  return batch;
}

}  // namespace proctor
