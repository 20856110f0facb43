#include "orchestrator/plan_report.h"

#include <cstdio>

#include "sharding/cost.h"

namespace proctor {

std::string plan_report(const Work& work) {
  std::string text;
  char line[256];
  std::snprintf(line, sizeof line, "%-48s %10s %8s %14s %12s\n", "module / task", "requests", "shards", "tokens (est.)",
                "TFLOP (est.)");
  text += line;
  for (const Pair& pair : work.pairs) {
    const ModelFacts& facts = work.facts[pair.module.value];
    const auto& requests = work.requests[pair.task.value].requests;
    double tokens = 0, flops = 0;
    std::size_t shards = 0;
    for (const Request& request : requests)
      for (const std::string& part : request.parts) tokens += estimated_tokens(facts, part.size());
    for (const Shard& shard : work.shards)
      if (shard.module == pair.module && shard.task == pair.task) ++shards, flops += shard.flops;
    const std::string name =
        work.suite.modules[pair.module.value].name + " / " + work.suite.tasks[pair.task.value].name;
    std::snprintf(line, sizeof line, "%-48s %10zu %8zu %14.0f %12.2f\n", name.c_str(), requests.size(), shards, tokens,
                  flops / 1e12);
    text += line;
  }
  for (std::size_t m = 0; m < work.suite.modules.size(); ++m)
    text += work.suite.modules[m].name + ": " + work.facts[m].architecture + ", " +
            std::to_string(work.facts[m].parameters / 1000000) + " M parameters, tensor_parallel " +
            std::to_string(work.suite.modules[m].tensor_parallel) + ", max_batch_tokens " +
            std::to_string(work.max_batch_tokens[m]) + ", max_length " +
            std::to_string(work.suite.modules[m].max_length.value_or(work.facts[m].max_length)) + "\n";
  return text;
}

}  // namespace proctor
