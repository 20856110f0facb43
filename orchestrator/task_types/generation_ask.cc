#include "orchestrator/task_types/generation_ask.h"

#include <cmath>
#include <unordered_map>

#include "orchestrator/metrics/hashes.h"

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

nlohmann::json ask_to_generate(const Generation& generation, bool fail_on_long) {
  nlohmann::json ask = {{"type", "generate_until"},
                        {"until", generation.until.value_or(std::vector<std::string>{})},
                        {"max_gen_toks", generation.max_gen_toks},
                        {"fail_on_long", fail_on_long}};
  if (generation.repetition_penalty) ask["repetition_penalty"] = *generation.repetition_penalty;
  if (generation.temperature == 0) return ask;
  ask["temperature"] = generation.temperature;
  if (generation.top_p < 1) ask["top_p"] = generation.top_p;
  if (generation.top_k > 0) ask["top_k"] = generation.top_k;
  return ask;
}

nlohmann::json ask_to_generate(const Task& task) {
  Generation generation = task.generation;
  if (!generation.until) generation.until = {task.fewshot.delimiter};
  return ask_to_generate(generation, task.fail_on_long);
}

nlohmann::ordered_json generation_kwargs(const nlohmann::json& ask) {
  nlohmann::ordered_json kwargs = {
      {"until", ask.at("until")}, {"max_gen_toks", ask.at("max_gen_toks")}, {"do_sample", ask.contains("temperature")}};
  for (const char* key : {"temperature", "top_p", "top_k", "repetition_penalty"})
    if (const auto found = ask.find(key); found != ask.end()) kwargs[key] = *found;
  return kwargs;
}

void seed_draws(std::vector<Request>& requests, std::uint64_t seed, const std::string& task) {
  std::unordered_map<std::string, std::uint64_t> seen;
  for (Request& request : requests) {
    if (!request.ask.contains("temperature")) continue;
    const std::string content = nlohmann::json(request).dump();
    const nlohmann::json key = {seed, task, content, seen[content]++};
    request.ask["seed"] = std::stoull(xxh3_hex(key.dump()).substr(0, 16), nullptr, 16);
  }
}

}  // namespace proctor
