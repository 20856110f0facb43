// The text that tests/support/fake_nvml.c answers from.
#pragma once

#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/orchestrator/support/little_process.h"

namespace proctor {

/// FAKE_NVML names it while it lives.
class FakeNvmlFile {
 public:
  explicit FakeNvmlFile(const std::string& lines) {
    write(lines);
    ::setenv("FAKE_NVML", path().c_str(), 1);
  }
  ~FakeNvmlFile() { ::unsetenv("FAKE_NVML"); }
  FakeNvmlFile(const FakeNvmlFile&) = delete;
  FakeNvmlFile& operator=(const FakeNvmlFile&) = delete;
  void write(const std::string& lines) const { std::ofstream(path()) << lines; }

 private:
  std::string path() const { return (folder_.path / "devices").string(); }
  const TemporaryFolder folder_{"fake-nvml"};
};

}  // namespace proctor
