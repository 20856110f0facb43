// A module's `options`, as its kind reads them. Includes no torch.
#pragma once

#include <string>

#include "sharding/error.h"
#include "sharding/suite.h"

namespace proctor {

/// Throws InputError naming the module for a value of another type.
template <class T>
T option(const Module& module, const char* name, const T& fallback) {
  if (!module.options.contains(name)) return fallback;
  try {
    return module.options.at(name).get<T>();
  } catch (const nlohmann::json::exception&) {
    throw InputError("module " + module.name + ": option " + name + " cannot be " + module.options.at(name).dump());
  }
}

/// compat: where AutoRAG's code differs from the method it implements, do as it does. Default: reference.
inline bool as_autorag(const Module& module) {
  const std::string name = option<std::string>(module, "compat", "reference");
  if (name != "reference" && name != "autorag")
    throw InputError("module " + module.name + ": option compat: expected reference or autorag, found '" + name + "'");
  return name == "autorag";
}

}  // namespace proctor
