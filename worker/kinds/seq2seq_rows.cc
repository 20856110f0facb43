#include "worker/kinds/seq2seq_rows.h"

#include <algorithm>
#include <utility>

#include "sharding/protocol/error.h"
#include "worker/batching/rolling_windows.h"
#include "worker/kinds/each_request.h"
#include "worker/kinds/options.h"

namespace proctor {
namespace {

constexpr std::int64_t kUsualTokens = 2048;  // lm-eval's, where neither configuration nor tokenizer say

TextRow text_row(Tokens ids, std::uint32_t request) {
  TextRow row;
  row.encoding.ids = std::move(ids);
  row.requests = {request};
  return row;
}

}  // namespace

std::int64_t seq2seq_limit(const ModelFolder& folder, const Module& module) {
  const Seq2SeqConfig& config = *folder.seq2seq;
  const std::int64_t usual =
      config.most_tokens > 0 ? config.most_tokens : folder.tokenizer.model_max_length.value_or(kUsualTokens);
  const std::int64_t limit = module.max_length.value_or(usual);
  if (config.positions > 0 && limit > config.positions)
    refuse(module, "max_length " + std::to_string(limit) + " is past the " + std::to_string(config.positions) +
                       " positions of " + folder.path);
  return limit;
}

/// Cuts the left end off. Returns how many tokens that were.
std::int64_t Seq2SeqRowMaker::cut(Tokens& context, OnLong on_long) const {
  const std::int64_t over = std::max<std::int64_t>(0, static_cast<std::int64_t>(context.size()) - max_tokens_);
  if (over > 0 && on_long == OnLong::fail)
    throw InputError("context of " + std::to_string(context.size()) + " tokens is longer than max_length " +
                     std::to_string(max_tokens_) + " (on_long: fail)");
  context.erase(context.begin(), context.begin() + over);
  return over;
}

void Seq2SeqRowMaker::add_pair(const Request& request, std::uint32_t index, Seq2SeqRows& rows) const {
  auto [context, continuation] = codec_.encode_apart(text_of(request, 0), text_of(request, 1));
  if (static_cast<std::int64_t>(continuation.size()) > max_tokens_)
    throw InputError("continuation of " + std::to_string(continuation.size()) + " tokens is longer than max_length " +
                     std::to_string(max_tokens_));
  rows.truncated[index] = cut(context, std::get<Loglikelihood>(request.ask).on_long);
  TextRow row = text_row(requests_.in_range(context), index);
  row.decoder = requests_.in_range(continuation);
  rows.scored.push_back(std::move(row));
}

/// In each window the decoder begins anew; the encoder has what stands before, one token at least.
void Seq2SeqRowMaker::add_windows(const Request& request, std::uint32_t index, Seq2SeqRows& rows) const {
  const Tokens text = requests_.in_range(codec_.encode(text_of(request, 0)));
  std::size_t part = 0;
  for (ScoredRow& window : rolling_windows(text, codec_.prefix_id(), max_tokens_)) {
    window.tokens.resize(window.tokens.size() + 1 - window.targets.size());
    TextRow row = text_row(window.tokens, index);
    row.decoder = window.targets;
    row.part = part++;
    rows.scored.push_back(std::move(row));
  }
}

/// lm-eval limits the decoder to as many tokens as the encoder has beside those that were asked for; its first counts.
void Seq2SeqRowMaker::add_generation(const Request& request, std::uint32_t index, Seq2SeqRows& rows) const {
  const auto& ask = std::get<Generate>(request.ask);
  const GenerationDefaults& of_folder = folder_.generation;
  if (of_folder.beams > 1 && (ask.draw || ask.reasoning))
    throw InputError(folder_.path + " writes with num_beams " + std::to_string(of_folder.beams) +
                     " (generation_config.json, or config.json), where nothing is drawn and no reasoning is read; "
                     "num_beams 1 there makes the search greedy");
  GenerationRow row = requests_.asked(ask, index);
  Tokens context = codec_.encode_with_specials(text_of(request, 0));
  if (context.empty()) context = {codec_.prefix_id()};
  row.truncated = rows.truncated[index] = cut(context, ask.on_long);
  row.prompt = {of_folder.start_token.value_or(folder_.seq2seq->start_token)};
  row.max_new = of_folder.max_new_tokens.value_or(static_cast<std::int64_t>(context.size()) + ask.max_gen_toks - 1);
  row.special_stops_from = context.size() - 1;  // lm-eval looks behind as many of the decoder's tokens
  row.min_new = std::max(row.min_new, of_folder.min_length - 1);
  row.no_repeat_ngram = of_folder.no_repeat_ngram;
  row.forced_first = of_folder.forced_bos;
  row.forced_last = of_folder.forced_eos;
  std::vector<std::size_t> stop_tokens;
  for (const std::string& stop : row.stops) stop_tokens.push_back(codec_.encode_without_specials(stop).size());
  rows.stop_tokens.push_back(std::move(stop_tokens));
  TextRow text = text_row(requests_.in_range(context), index);
  text.part = rows.writing.size();
  text.to_write = static_cast<std::size_t>(row.max_new);
  rows.writing.push_back(std::move(row));
  rows.generated.push_back(std::move(text));
}

Seq2SeqRows Seq2SeqRowMaker::of_requests(std::span<const Request> requests) const {
  Seq2SeqRows rows;
  rows.truncated.assign(requests.size(), 0);
  rows.errors = errors_of_each(requests.size(), [&](std::uint32_t i) {
    switch (type_of(requests[i].ask)) {
      case RequestType::loglikelihood:
        return add_pair(requests[i], i, rows);
      case RequestType::loglikelihood_rolling:
        return add_windows(requests[i], i, rows);
      default:
        return add_generation(requests[i], i, rows);
    }
  });
  return rows;
}

}  // namespace proctor
