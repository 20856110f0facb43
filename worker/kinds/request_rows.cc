#include "worker/kinds/request_rows.h"

#include <algorithm>

#include "sharding/protocol/error.h"
#include "worker/batching/rolling_windows.h"

namespace proctor {

ScoredRow RequestRows::loglikelihood(const Request& request, OnLong on_long, std::int64_t& truncated) const {
  const auto [context, continuation] = codec_.encode_pair(text_of(request, 0), text_of(request, 1));
  if (static_cast<std::int64_t>(continuation.size()) > max_length_)
    throw InputError("continuation of " + std::to_string(continuation.size()) + " tokens is longer than max_length " +
                     std::to_string(max_length_));
  Tokens all = context;
  all.insert(all.end(), continuation.begin(), continuation.end());
  const auto room = static_cast<std::size_t>(max_length_) + 1;
  if (all.size() > room) {
    truncated = static_cast<std::int64_t>(all.size() - room);
    if (on_long == OnLong::fail)
      throw InputError("context and continuation of " + std::to_string(all.size()) +
                       " tokens are longer than max_length " + std::to_string(max_length_) + " (on_long: fail)");
    all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(room));
  }
  in_range(all);
  all.pop_back();
  return {std::move(all), continuation};
}

const Tokens& RequestRows::in_range(const Tokens& ids) const {
  for (std::int32_t id : ids)
    if (id < 0 || id >= folder_.vocabulary())
      throw InputError("token id " + std::to_string(id) + " is outside the model's vocabulary of " +
                       std::to_string(folder_.vocabulary()));
  return ids;
}

void RequestRows::score(const Request& request, std::size_t index, ScoringWork& work) const {
  if (const auto* ask = std::get_if<Loglikelihood>(&request.ask))
    return work.add(loglikelihood(request, ask->on_long, work.truncated[index]), index);
  const Tokens text = in_range(codec_.encode(text_of(request, 0)));
  for (ScoredRow& window : rolling_windows(text, codec_.prefix_id(), max_length_)) work.add(std::move(window), index);
}

GenerationRow RequestRows::asked(const Generate& ask, std::size_t index) const {
  GenerationRow row;
  row.request = index;
  row.stops = ask.until;
  row.max_new = ask.max_gen_toks;
  row.repetition_penalty = ask.repetition_penalty.value_or(folder_.generation.repetition_penalty);
  if (ask.draw)
    row.sampling = {ask.draw->temperature, ask.draw->top_k, ask.draw->top_p, ask.draw->seed, ask.draw->min_p};
  row.changes = {ask.logit_bias, ask.presence_penalty, ask.frequency_penalty};
  for (const LogitBias& bias : ask.logit_bias) in_range({bias.id});
  row.min_new = ask.min_tokens;
  row.ignore_eos = ask.ignore_eos;
  row.stop_ids = in_range(ask.stop_token_ids);
  if (ask.reasoning) row.reasoning = {*ask.reasoning, codec_.encode_without_specials(ask.reasoning->end)};
  row.wants_logprobs = ask.logprobs;
  if (!codec_.eos_text().empty() && !ask.ignore_eos) row.stops.push_back(codec_.eos_text());
  return row;
}

GenerationRow RequestRows::generation(const Request& request, std::size_t index) const {
  const auto& ask = std::get<Generate>(request.ask);
  GenerationRow row = asked(ask, index);
  row.prompt = codec_.encode(text_of(request, 0));
  const std::int64_t room = max_length_ - row.max_new;  // as lm-eval: by what was asked for
  if (room <= 0)
    throw InputError("max_gen_toks " + std::to_string(row.max_new) + " leaves no room for a context in max_length " +
                     std::to_string(max_length_));
  if (row.prompt.empty()) row.prompt = {codec_.prefix_id()};
  in_range(row.prompt);
  row.truncated = std::max<std::int64_t>(0, static_cast<std::int64_t>(row.prompt.size()) - room);
  if (row.truncated && ask.on_long == OnLong::fail)
    throw InputError("context of " + std::to_string(row.prompt.size()) + " tokens is longer than " +
                     std::to_string(room) + " (on_long: fail)");
  row.prompt.erase(row.prompt.begin(), row.prompt.begin() + row.truncated);
  row.max_new = folder_.generation.max_new_tokens.value_or(row.max_new);
  return row;
}

}  // namespace proctor
