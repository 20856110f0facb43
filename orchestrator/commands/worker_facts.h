// What only LibTorch or a model's reader knows, asked of the worker binary: `proctor-worker check` and `probe`.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "orchestrator/planning/facts_cache.h"
#include "orchestrator/planning/work.h"

namespace proctor {

/// Its words and exit code come back as an Error of the same kind. What it said of a folder that has not changed since
/// is not asked again. May be asked by several threads at a time.
class WorkerFacts final : public FactSource {
 public:
  WorkerFacts(std::string device, Deadlines::Seconds deadline);
  ModelFacts check(const Module& module) override;
  /// One process for all that the cache does not know.
  std::vector<CheckedModule> check_each(std::span<const Module> modules) override;
  DeviceFacts probe() override;

 private:
  nlohmann::json ask(std::vector<std::string> arguments) const;
  ModelFacts ask_guest(const Module& module) const;
  /// A module that the cache does not know, and where its facts will be kept.
  struct Unknown {
    std::size_t module;
    std::filesystem::path file;
  };
  std::size_t ask_about(std::span<const Module> modules, std::span<const Unknown> some,
                        std::vector<CheckedModule>& all) const;
  std::string device_;
  Deadlines::Seconds deadline_;
  FactsCache cache_;
};

}  // namespace proctor
