#include "orchestrator/sidecar/engine_program.h"

#include <cstdlib>
#include <string>

#include "orchestrator/sidecar/python_place.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

std::string described(const Engine& engine) {
  if (!engine.name.empty()) return engine.name;
  std::string text;
  for (const std::string& argument : engine.command) text += (text.empty() ? "" : " ") + argument;
  return text;
}

/// The package's folder first, so that `proctor.guest` is this proctor's; then what the engine and the user named.
std::string python_path(const Engine& engine, const std::string& package) {
  std::string path = package;
  const auto add = [&](const std::string& more) {
    if (!more.empty()) path += (path.empty() ? "" : ":") + more;
  };
  for (const std::string& entry : engine.environment)
    if (entry.starts_with("PYTHONPATH=")) add(entry.substr(11));
  if (const char* mine = std::getenv("PYTHONPATH")) add(mine);
  return path;
}

}  // namespace

void resolve_engines(std::span<Module> modules, const std::string& python, AllowEngines allow) {
  for (Module& module : modules) {
    if (!module.engine) continue;
    Engine& engine = *module.engine;
    if (allow == AllowEngines::no)
      throw UsageError("module " + module.name + ": engine " + described(engine) +
                       " is code that is not proctor's, which runs only with --allow-engines");
    const PythonPlace place = find_python(python);
    if (engine.command.front().empty()) engine.command.front() = place.program;
    const std::string path = python_path(engine, place.package);
    engine.environment = {"PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"};
    if (!path.empty()) engine.environment.push_back("PYTHONPATH=" + path);
  }
}

}  // namespace proctor
