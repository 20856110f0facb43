#include "orchestrator/commands/worker_facts.h"

#include "orchestrator/base/exit_code.h"
#include "orchestrator/ranks/worker_process.h"
#include "sharding/protocol/error.h"

namespace proctor {

ModelFacts WorkerFacts::check(const Module& module) {
  return ask({"check", module.path, "--module", nlohmann::json(module).dump()}).get<ModelFacts>();
}

DeviceFacts WorkerFacts::probe() { return ask({"probe", "--device", device_}).get<DeviceFacts>(); }

nlohmann::json WorkerFacts::ask(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), worker_binary_path());
  const CommandResult result = ask_command(arguments, deadline_);
  if (result.status == 0) return nlohmann::json::parse(result.output);
  std::string message = result.error.substr(0, result.error.find_last_not_of('\n') + 1);
  if (message.starts_with("proctor-worker: ")) message.erase(0, 16);
  const Fault fault = result.status == kUsage         ? Fault::usage
                      : result.status == kEnvironment ? Fault::environment
                      : result.status == kInput       ? Fault::input
                                                      : Fault::internal;
  throw Error(fault, message.empty()
                         ? arguments[0] + " " + arguments[1] + " failed with status " + std::to_string(result.status)
                         : message);
}

}  // namespace proctor
