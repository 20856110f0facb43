// What a generation asks of the worker, however the user said it: a task's `generation`, or a row of another harness.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "orchestrator/task_types/task_type.h"

namespace proctor {

struct WrongKey {
  std::string key, why;
};
/// A value of no meaning; nothing if all are well.
std::optional<WrongKey> wrong_sampling(const Generation& generation);

/// Without seed.
Generate generation_of(const Generation& generation, OnLong on_long);
/// Of a task, whose stop string is the few-shot delimiter where it names none.
Generate generation_of(const Task& task);
/// As lm-eval's generation_kwargs.
nlohmann::ordered_json generation_kwargs(const Generate& generate);

/// Of each response the text that counts. Of a generation's, none failed.
std::vector<std::string> answers_of(std::span<const Response> responses);

/// Gives each request that draws its seed: from the suite's seed, the task, the request itself and how many equal ones
/// came before it (its repeat), so that the text is the same whoever computes it and whatever else is asked.
void seed_draws(std::vector<Request>& requests, std::uint64_t seed, const std::string& task);

}  // namespace proctor
