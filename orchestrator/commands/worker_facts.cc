#include "orchestrator/commands/worker_facts.h"

#include <algorithm>
#include <sstream>

#include "orchestrator/base/cache_folder.h"
#include "orchestrator/base/exit_code.h"
#include "orchestrator/ranks/worker_process.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/facts_json.h"
#include "sharding/protocol/module_json.h"

namespace proctor {

namespace {

constexpr std::uint32_t kGuestProtocol = 1;  // docs/engine-protocol.md
constexpr std::size_t kAskedAtOnce = 500;    // modules; an argument each

Fault fault_of(int status) {
  return status == kUsage         ? Fault::usage
         : status == kEnvironment ? Fault::environment
         : status == kInput       ? Fault::input
                                  : Fault::internal;
}

/// A line of `proctor-worker check --each`: {"facts": ...}, or {"status": exit code, "error": text}.
CheckedModule checked(const nlohmann::json& line) {
  if (line.contains("facts")) return {line["facts"].get<ModelFacts>(), nullptr};
  return {{}, std::make_exception_ptr(Error(fault_of(line.at("status")), line.at("error").get<std::string>()))};
}

}  // namespace

WorkerFacts::WorkerFacts(std::string device, Deadlines::Seconds deadline)
    : device_(std::move(device)),
      deadline_(deadline),
      cache_(cache_folder().empty() ? cache_folder() : cache_folder() / "facts", worker_binary_path()) {}

ModelFacts WorkerFacts::check(const Module& module) {
  if (module.engine) return ask_guest(module);
  const std::filesystem::path file = cache_.file_of(module);
  if (auto known = cache_.find(file)) return std::move(*known);
  const auto facts = ask({"check", module.path, "--module", nlohmann::json(module).dump()}).get<ModelFacts>();
  cache_.keep(file, facts);
  return facts;
}

std::vector<CheckedModule> WorkerFacts::check_each(std::span<const Module> modules) {
  std::vector<CheckedModule> all(modules.size());
  std::vector<Unknown> unknown;
  for (std::size_t m = 0; m < modules.size(); ++m) {
    if (modules[m].engine) {
      all[m] = FactSource::check_each(modules.subspan(m, 1))[0];
      continue;
    }
    std::filesystem::path file = cache_.file_of(modules[m]);
    if (auto known = cache_.find(file))
      all[m].facts = std::move(*known);
    else
      unknown.push_back({m, std::move(file)});
  }
  for (std::size_t begin = 0; begin < unknown.size(); begin += kAskedAtOnce) {
    const auto some = std::span(unknown).subspan(begin, std::min(kAskedAtOnce, unknown.size() - begin));
    // Those that one process did not come to, since it died: each tells alone.
    for (const Unknown& one : some.subspan(some.size() > 1 ? ask_about(modules, some, all) : 0))
      all[one.module] = FactSource::check_each(modules.subspan(one.module, 1))[0];
  }
  return all;
}

/// Of `some` modules, by one process. Returns how many it answered.
std::size_t WorkerFacts::ask_about(std::span<const Module> modules, std::span<const Unknown> some,
                                   std::vector<CheckedModule>& all) const {
  std::vector<std::string> arguments = {worker_binary_path(), "check", "--each"};
  for (const Unknown& one : some) arguments.push_back(nlohmann::json(modules[one.module]).dump());
  std::istringstream lines(ask_command(arguments, deadline_).output);
  std::size_t answered = 0;
  for (std::string line; answered < some.size() && std::getline(lines, line); ++answered) {
    const nlohmann::json said = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!said.is_object()) break;  // torn: it died while it wrote
    CheckedModule& answer = all[some[answered].module];
    answer = checked(said);
    if (!answer.error) cache_.keep(some[answered].file, answer.facts);
  }
  return answered;
}

DeviceFacts WorkerFacts::probe() { return ask({"probe", "--device", device_, "--speed"}).get<DeviceFacts>(); }

/// What the engine's program says: `check FOLDER --module JSON`, the last line of its output.
ModelFacts WorkerFacts::ask_guest(const Module& module) const {
  std::vector<std::string> arguments = module.engine->command;
  arguments.insert(arguments.end(), {"check", module.path, "--module", nlohmann::json(module).dump()});
  const std::string whose = "module " + module.name + ": engine " +
                            (module.engine->name.empty() ? module.engine->command.back() : module.engine->name);
  CommandResult result;
  try {
    result = ask_command(arguments, deadline_, module.engine->environment);
  } catch (const Error& error) {
    throw EnvironmentError(whose + ": " + error.what());
  }
  const auto last = [](std::string text) {
    text.erase(text.find_last_not_of("\n ") + 1);
    return text.substr(text.rfind('\n') + 1);
  };
  if (result.status != 0) {
    const Fault fault =
        result.status == kUsage || result.status == kInput ? fault_of(result.status) : Fault::environment;
    throw Error(fault,
                whose + ": " +
                    (result.error.empty() ? "ended with status " + std::to_string(result.status) : last(result.error)));
  }
  const nlohmann::json said = nlohmann::json::parse(last(result.output), nullptr, /*allow_exceptions=*/false);
  try {
    ModelFacts facts = said.is_object() ? said.get<ModelFacts>() : ModelFacts{};
    if (!facts.engine.native() && facts.engine.protocol != kGuestProtocol)
      throw EnvironmentError(whose + " speaks protocol " + std::to_string(facts.engine.protocol) +
                             ", and this proctor " + std::to_string(kGuestProtocol) +
                             "; use the proctor.guest of one version");
    if (!facts.engine.native()) return facts;
  } catch (const nlohmann::json::exception& error) {
    throw EnvironmentError(whose + ": check printed facts of another form: " + error.what());
  }
  throw EnvironmentError(whose + ": check printed no facts (docs/engine-protocol.md): " + last(result.output));
}

nlohmann::json WorkerFacts::ask(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), worker_binary_path());
  const CommandResult result = ask_command(arguments, deadline_);
  if (result.status == 0) return nlohmann::json::parse(result.output);
  std::string message = result.error.substr(0, result.error.find_last_not_of('\n') + 1);
  if (message.starts_with("proctor-worker: ")) message.erase(0, 16);
  throw Error(fault_of(result.status), message.empty() ? arguments[0] + " " + arguments[1] + " failed with status " +
                                                             std::to_string(result.status)
                                                       : message);
}

}  // namespace proctor
