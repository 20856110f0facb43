// Any bytes as a suite file: read, or refused by an Error.
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>

#include "orchestrator/suite/suite_file.h"
#include "orchestrator/suite/task_file.h"
#include "sharding/protocol/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path root = [] {
    const auto path = std::filesystem::temp_directory_path() / ("proctor-fuzz-" + std::to_string(::getpid()));
    std::filesystem::create_directories(path / "model");
    return path;
  }();
  std::ofstream(root / "suite.yaml", std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  for (const auto& read : {+[](const std::string& path) { proctor::read_suite(path, {}); },
                           +[](const std::string& path) { proctor::read_task(path, "", {}); }})
    try {
      read((root / "suite.yaml").string());
    } catch (const proctor::Error&) {
    }
  return 0;
}
