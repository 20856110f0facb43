// The keys of a module that another engine computes: engine, python.
#include <algorithm>
#include <filesystem>
#include <set>

#include "orchestrator/suite/yaml_fields.h"
#include "sharding/protocol/nearest_name.h"

namespace proctor {
namespace {

std::string known_names() {
  std::string names;
  for (const std::string& name : engine_names()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

/// The user's own: an argument list, run with the suite's folder on Python's path.
Engine own_engine(YamlFields fields) {
  Engine engine;
  engine.command = fields.texts("command");
  if (engine.command.empty() || engine.command.front().empty())
    fields.refuse("command", "expected a list: a program and its arguments");
  for (std::string& argument : engine.command) argument = program_beside(fields, argument);
  const std::string folder = std::filesystem::path(fields.file()).parent_path().string();
  engine.environment = {"PYTHONPATH=" + folder};
  fields.finish();
  return engine;
}

}  // namespace

std::string program_beside(const YamlFields& fields, const std::string& argument) {
  if (argument.empty()) return argument;
  const std::string path = path_beside(fields.file(), argument);
  std::error_code none;
  return std::filesystem::exists(path, none) ? path : argument;
}

std::optional<Engine> read_engine(YamlFields& fields) {
  const std::string python = fields.text("python", "");
  const YAML::Node node = fields.find("engine");
  if (!node.IsDefined() || node.IsNull()) {
    if (!python.empty()) fields.refuse("python", "is for modules with an engine; proctor's own needs none");
    return std::nullopt;
  }
  if (node.IsMap()) {
    if (!python.empty()) fields.refuse("python", "does nothing beside engine: {command: ...}, which names its program");
    return own_engine(fields.map("engine", "engine"));
  }
  Engine engine{fields.text("engine", ""), {}, {}};
  const std::set<std::string> names(engine_names().begin(), engine_names().end());
  if (!names.contains(engine.name)) {
    const std::string near = nearest(engine.name, names);
    fields.refuse("engine", "'" + engine.name + "' is not known (known: " + known_names() + ", or {command: [...]})" +
                                (near.empty() ? "" : "; did you mean '" + near + "'?"));
  }
  engine.command = {program_beside(fields, python), "-m", "proctor.engines." + engine.name};
  return engine;
}

}  // namespace proctor
