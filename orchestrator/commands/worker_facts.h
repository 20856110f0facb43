// What only LibTorch or a model's reader knows, asked of the worker binary: `proctor-worker check` and `probe`.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "orchestrator/planning/work.h"

namespace proctor {

/// Its words and exit code come back as an Error of the same kind. May be asked by several threads at a time.
class WorkerFacts final : public FactSource {
 public:
  WorkerFacts(std::string device, Deadlines::Seconds deadline) : device_(std::move(device)), deadline_(deadline) {}
  ModelFacts check(const Module& module) override;
  DeviceFacts probe() override;

 private:
  nlohmann::json ask(std::vector<std::string> arguments) const;
  std::string device_;
  Deadlines::Seconds deadline_;
};

}  // namespace proctor
