#include "orchestrator/task_types/generation.h"

#include <cmath>
#include <unordered_map>

#include "orchestrator/metrics/hashes.h"
#include "sharding/protocol/ask_json.h"

namespace proctor {

namespace {

/// What only drawn texts have.
std::optional<WrongKey> idle_key(const Generation& generation) {
  if (generation.temperature > 0) return std::nullopt;
  const char* key = generation.top_p < 1   ? "top_p"
                    : generation.top_k > 0 ? "top_k"
                    : generation.min_p > 0 ? "min_p"
                                           : nullptr;
  return key ? std::optional(WrongKey{key, "has no effect without a temperature"}) : std::nullopt;
}

}  // namespace

std::optional<WrongKey> wrong_sampling(const Generation& generation) {
  const auto number = [](double value) { return nlohmann::json(value).dump(); };
  if (!(generation.temperature >= 0) || std::isinf(generation.temperature))
    return WrongKey{"temperature", "expected 0 (greedy) or more, found " + number(generation.temperature)};
  if (!(generation.top_p > 0 && generation.top_p <= 1))
    return WrongKey{"top_p", "expected more than 0 and at most 1, found " + number(generation.top_p)};
  if (generation.top_k < 0)
    return WrongKey{"top_k", "expected 0 (all) or more, found " + std::to_string(generation.top_k)};
  if (const auto penalty = generation.repetition_penalty; penalty && (!(*penalty > 0) || std::isinf(*penalty)))
    return WrongKey{"repetition_penalty", "expected more than 0, found " + number(*penalty)};
  if (!(generation.min_p >= 0 && generation.min_p <= 1))
    return WrongKey{"min_p", "expected 0 to 1, found " + number(generation.min_p)};
  for (const auto& [key, penalty] : {std::pair("presence_penalty", generation.presence_penalty),
                                     std::pair("frequency_penalty", generation.frequency_penalty)})
    if (!(penalty >= -2 && penalty <= 2)) return WrongKey{key, "expected -2 to 2, found " + number(penalty)};
  for (const LogitBias& bias : generation.logit_bias)
    if (bias.id < 0 || !(bias.added >= -100 && bias.added <= 100))
      return WrongKey{"logit_bias", "expected a token id from 0 on and a number from -100 to 100, found " +
                                        std::to_string(bias.id) + ": " + number(bias.added)};
  for (const TokenId id : generation.stop_token_ids)
    if (id < 0) return WrongKey{"stop_token_ids", "expected token ids, found " + std::to_string(id)};
  if (generation.min_tokens > generation.max_gen_toks)
    return WrongKey{"min_tokens", "is more than max_gen_toks, " + std::to_string(generation.max_gen_toks)};
  if (generation.max_thinking_toks && *generation.max_thinking_toks >= generation.max_gen_toks)
    return WrongKey{"max_thinking_toks",
                    "leaves no token of max_gen_toks, " + std::to_string(generation.max_gen_toks) + ", for an answer"};
  return idle_key(generation);
}

Generate generation_of(const Generation& generation, OnLong on_long) {
  Generate generate;
  generate.until = generation.until.value_or(std::vector<std::string>{});
  generate.max_gen_toks = generation.max_gen_toks;
  generate.on_long = on_long;
  generate.repetition_penalty = generation.repetition_penalty;
  if (generation.temperature > 0)
    generate.draw = {generation.temperature, generation.top_p, generation.top_k, 0, generation.min_p};
  generate.min_tokens = generation.min_tokens;
  generate.ignore_eos = generation.ignore_eos;
  generate.stop_token_ids = generation.stop_token_ids;
  generate.logit_bias = generation.logit_bias;
  generate.presence_penalty = generation.presence_penalty;
  generate.frequency_penalty = generation.frequency_penalty;
  return generate;
}

Generate generation_of(const Task& task) {
  Generation generation = task.generation;
  if (!generation.until) generation.until = {task.fewshot.delimiter};
  return generation_of(generation, task.on_long);
}

nlohmann::ordered_json generation_kwargs(const Generate& generate) {
  nlohmann::ordered_json kwargs = {
      {"until", generate.until}, {"max_gen_toks", generate.max_gen_toks}, {"do_sample", generate.draw.has_value()}};
  if (generate.draw) {
    kwargs["temperature"] = generate.draw->temperature;
    if (generate.draw->top_p < 1) kwargs["top_p"] = generate.draw->top_p;
    if (generate.draw->top_k > 0) kwargs["top_k"] = generate.draw->top_k;
    if (generate.draw->min_p > 0) kwargs["min_p"] = generate.draw->min_p;
  }
  if (generate.min_tokens > 0) kwargs["min_tokens"] = generate.min_tokens;
  if (generate.ignore_eos) kwargs["ignore_eos"] = true;
  if (!generate.stop_token_ids.empty()) kwargs["stop_token_ids"] = generate.stop_token_ids;
  for (const LogitBias& bias : generate.logit_bias) kwargs["logit_bias"][std::to_string(bias.id)] = bias.added;
  if (generate.presence_penalty != 0) kwargs["presence_penalty"] = generate.presence_penalty;
  if (generate.frequency_penalty != 0) kwargs["frequency_penalty"] = generate.frequency_penalty;
  if (generate.reasoning && generate.reasoning->max_toks) kwargs["max_thinking_toks"] = *generate.reasoning->max_toks;
  if (generate.repetition_penalty) kwargs["repetition_penalty"] = *generate.repetition_penalty;
  return kwargs;
}

std::vector<std::string> answers_of(std::span<const Response> responses) {
  std::vector<std::string> texts;
  for (const Response& one : responses) texts.push_back(answer_proper(std::get<GenerateAnswer>(one.answer)));
  return texts;
}

void seed_draws(std::vector<Request>& requests, std::uint64_t seed, const std::string& task) {
  std::unordered_map<std::string, std::uint64_t> seen;
  for (Request& request : requests) {
    auto* generate = std::get_if<Generate>(&request.ask);
    if (!generate || !generate->draw) continue;
    const std::string content = content_of(request).dump();
    const nlohmann::json key = {seed, task, content, seen[content]++};
    generate->draw->seed = std::stoull(xxh3_hex(key.dump()).substr(0, 16), nullptr, 16);
  }
}

}  // namespace proctor
