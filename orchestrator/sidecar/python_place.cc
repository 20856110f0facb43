#include "orchestrator/sidecar/python_place.h"

#include <cstdlib>
#include <filesystem>

namespace proctor {
namespace {

namespace fs = std::filesystem;

/// The environment of <environment>/lib/python3.x/site-packages/proctor/bin/proctor, or "".
fs::path environment_of(const fs::path& binary) {
  const fs::path package = binary.parent_path().parent_path();
  std::error_code none;
  if (!fs::exists(package / "sidecar.py", none)) return {};
  return package.parent_path().parent_path().parent_path().parent_path();
}

}  // namespace

PythonPlace find_python(const std::string& asked) {
  PythonPlace place;
  std::error_code none;
  const fs::path environment = environment_of(fs::read_symlink("/proc/self/exe", none));
  if (environment.empty())  // a build in a checkout
    for (const char* folder : {PROCTOR_PACKAGE_FOLDER, PROCTOR_JINJA_FOLDER})
      if (*folder && fs::is_directory(folder, none)) place.folders.emplace_back(folder);
  if (environment.empty() && fs::is_directory(PROCTOR_PACKAGE_FOLDER, none)) place.package = PROCTOR_PACKAGE_FOLDER;
  const char* variable = std::getenv("PROCTOR_PYTHON");
  const fs::path own = environment.empty() ? fs::path() : environment / "bin" / "python3";
  if (!asked.empty())
    place.program = asked, place.told_by = "machine.python";
  else if (variable && *variable)
    place.program = variable, place.told_by = "PROCTOR_PYTHON";
  else if (!own.empty() && fs::exists(own, none))
    place.program = own.string(), place.told_by = "the environment that proctor is installed in";
  else
    place.program = "python3", place.told_by = "the PATH";
  return place;
}

}  // namespace proctor
