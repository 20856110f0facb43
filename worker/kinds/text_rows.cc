#include "worker/kinds/text_rows.h"

#include <algorithm>

#include "sharding/error.h"

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

std::vector<TextRow> text_rows(std::span<const Request> requests, const EncoderConfig& config,
                               const std::function<Encoding(const Request&)>& encode,
                               std::vector<Response>& responses) {
  std::vector<TextRow> rows;
  for (std::size_t i = 0; i < requests.size(); ++i) try {
      TextRow row{encode(requests[i]), i};
      check(row.encoding, config);
      rows.push_back(std::move(row));
    } catch (const InputError& error) {
      responses[i].error = error.what();
    }
  return rows;
}

void run_batches(std::vector<TextRow> rows, const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce,
                 const std::function<void(std::span<const TextRow>)>& compute) {
  std::ranges::stable_sort(rows, std::greater(), [](const TextRow& row) { return row.encoding.ids.size(); });
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
      compute(mine);
    } else {
      for (const TextRow& row : mine) {
        const auto request = static_cast<std::uint32_t>(row.request);
        if (shard.left_out(request)) continue;
        announce({name + ", request " + std::to_string(request) + " alone", batch, {request}});
        compute({&row, 1});
      }
    }
    cleanup.after_batch();
  }
}

at::Tensor states_of(const Encoder& encoder, std::span<const TextRow> rows) {
  std::vector<std::int32_t> tokens, types;
  std::vector<std::int64_t> lengths;
  for (const TextRow& row : rows) {
    tokens.insert(tokens.end(), row.encoding.ids.begin(), row.encoding.ids.end());
    types.insert(types.end(), row.encoding.type_ids.begin(), row.encoding.type_ids.end());
    lengths.push_back(static_cast<std::int64_t>(row.encoding.ids.size()));
  }
  return encoder.forward(tokens, types, lengths);
}

}  // namespace proctor
