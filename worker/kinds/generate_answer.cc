#include "worker/kinds/generate_answer.h"

#include <algorithm>

#include "worker/postprocessing/generation_text.h"

namespace proctor {

GenerateAnswer answer_of(const GenerationRow& row, const Generate& ask, const TextCodec& codec) {
  GenerateAnswer answer;
  Tokens written = row.generated;
  if (!written.empty() && std::ranges::find(row.stop_ids, written.back()) != row.stop_ids.end()) written.pop_back();
  if (ask.reasoning) {
    const Tokens tags = {codec.id(ask.reasoning->start), codec.id(ask.reasoning->end)};
    answer.text = codec.decode_keeping(written, tags);
    answer.trace = row.reasoning.trace(answer.text, row.generated.size());
    const std::size_t at = answer.trace->answer_at;
    answer.text = answer.text.substr(0, at) + cut_at_stops(answer.text.substr(at), row.stops);
  } else {
    answer.text = cut_at_stops(codec.decode(written), row.stops);
  }
  answer.tokens = static_cast<std::int64_t>(row.generated.size());
  answer.truncated = row.truncated;
  if (row.wants_logprobs) answer.chosen = {row.generated, row.logprobs};
  return answer;
}

}  // namespace proctor
