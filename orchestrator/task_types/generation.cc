#include "orchestrator/task_types/generation.h"

#include <cmath>
#include <unordered_map>

#include "orchestrator/metrics/hashes.h"
#include "sharding/protocol/ask_json.h"

namespace proctor {

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
  const bool draws = generation.temperature > 0;
  if (!draws && (generation.top_p < 1 || generation.top_k > 0))
    return WrongKey{generation.top_p < 1 ? "top_p" : "top_k", "has no effect without a temperature"};
  return std::nullopt;
}

Generate generation_of(const Generation& generation, OnLong on_long) {
  Generate generate;
  generate.until = generation.until.value_or(std::vector<std::string>{});
  generate.max_gen_toks = generation.max_gen_toks;
  generate.on_long = on_long;
  generate.repetition_penalty = generation.repetition_penalty;
  if (generation.temperature > 0) generate.draw = {generation.temperature, generation.top_p, generation.top_k};
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
  }
  if (generate.repetition_penalty) kwargs["repetition_penalty"] = *generate.repetition_penalty;
  return kwargs;
}

void seed_draws(std::vector<Request>& requests, std::uint64_t seed, const std::string& task) {
  std::unordered_map<std::string, std::uint64_t> seen;
  for (Request& request : requests) {
    auto* generate = std::get_if<Generate>(&request.ask);
    if (!generate || !generate->draw) continue;
    const std::string content = nlohmann::json(request).dump();
    const nlohmann::json key = {seed, task, content, seen[content]++};
    generate->draw->seed = std::stoull(xxh3_hex(key.dump()).substr(0, 16), nullptr, 16);
  }
}

}  // namespace proctor
