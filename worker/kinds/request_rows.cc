#include "worker/kinds/request_rows.h"

#include <algorithm>

#include "sharding/protocol/error.h"
#include "worker/batching/rolling_windows.h"

namespace proctor {
namespace {

/// Why a row that is too long is not cut.
const char* why_whole(OnLong on_long) {
  return on_long == OnLong::fail ? " (on_long: fail)" : "; a prompt with images is never cut";
}

}  // namespace

ScoredRow RequestRows::loglikelihood(const Request& request, OnLong on_long, std::int64_t& truncated,
                                     const ShardImages& images) const {
  const ImageText context_text(context_of(request), images);
  auto [context, continuation] = codec_.encode_pair(context_text.text(), text_of(request, request.parts.size() - 1));
  const std::int64_t longest = max_length(context_text.has_images());
  if (static_cast<std::int64_t>(continuation.size()) > longest)
    throw InputError("continuation of " + std::to_string(continuation.size()) + " tokens is longer than max_length " +
                     std::to_string(longest));
  Tokens all = std::move(context);
  all.insert(all.end(), continuation.begin(), continuation.end());
  in_range(all, context_text.placeholder());
  context_text.number(all);
  const auto room = static_cast<std::size_t>(longest) + 1;
  if (all.size() > room) {
    truncated = static_cast<std::int64_t>(all.size() - room);
    if (on_long == OnLong::fail || context_text.has_images())
      throw InputError("context and continuation of " + std::to_string(all.size()) +
                       " tokens are longer than max_length " + std::to_string(longest) + why_whole(on_long));
    all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(room));
  }
  all.pop_back();
  return {std::move(all), continuation};
}

const Tokens& RequestRows::in_range(const Tokens& ids, TokenId but) const {
  for (const TokenId id : ids)
    if (id < 0 || (id >= folder_.vocabulary() && id != but))
      throw InputError("token id " + std::to_string(id) + " is outside the model's vocabulary of " +
                       std::to_string(folder_.vocabulary()));
  return ids;
}

void RequestRows::score(const Request& request, std::size_t index, ScoringWork& work, const ShardImages& images) const {
  if (const auto* ask = std::get_if<Loglikelihood>(&request.ask))
    return work.add(loglikelihood(request, ask->on_long, work.truncated[index], images), index);
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

GenerationRow RequestRows::generation(const Request& request, std::size_t index, const ShardImages& images) const {
  const auto& ask = std::get<Generate>(request.ask);
  GenerationRow row = asked(ask, index);
  const ImageText context(request.parts, images);
  row.prompt = codec_.encode(context.text());
  const std::int64_t longest = max_length(context.has_images());
  const std::int64_t room = longest - row.max_new;  // as lm-eval: by what was asked for
  if (room <= 0)
    throw InputError("max_gen_toks " + std::to_string(row.max_new) + " leaves no room for a context in max_length " +
                     std::to_string(longest));
  if (row.prompt.empty()) row.prompt = {codec_.prefix_id()};
  in_range(row.prompt, context.placeholder());
  context.number(row.prompt);
  if (context.has_images()) row.image_token = context.placeholder();
  row.truncated = std::max<std::int64_t>(0, static_cast<std::int64_t>(row.prompt.size()) - room);
  if (row.truncated && (ask.on_long == OnLong::fail || context.has_images()))
    throw InputError("context of " + std::to_string(row.prompt.size()) + " tokens is longer than " +
                     std::to_string(room) + why_whole(ask.on_long));
  row.prompt.erase(row.prompt.begin(), row.prompt.begin() + row.truncated);
  row.max_new = folder_.generation.max_new_tokens.value_or(row.max_new);
  return row;
}

}  // namespace proctor
