#include "orchestrator/planning/file_hashes.h"

#include <fstream>
#include <iterator>

#include "orchestrator/metrics/hashes.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

std::string files_hash(const std::vector<std::string>& files) {
  Sha256 hash;
  std::string piece(1 << 20, '\0');
  for (const std::string& path : files) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) throw InputError(path + ": cannot be read");
    do {
      stream.read(piece.data(), static_cast<std::streamsize>(piece.size()));
      hash.add({piece.data(), static_cast<std::size_t>(stream.gcount())});
    } while (stream);
  }
  return hash.hex();
}

}  // namespace

std::vector<std::map<std::string, std::string>> data_hashes(const Suite& suite) {
  std::map<std::vector<std::string>, std::string> known;  // tasks share files
  std::vector<std::map<std::string, std::string>> all;
  for (const Task& task : suite.tasks) {
    std::map<std::string, std::string>& hashes = all.emplace_back();
    if (!task_type_of(task).is_scored()) continue;
    for (const auto& [split, files] : task.data) {
      std::string& hash = known[files];
      if (hash.empty()) hash = files_hash(files);
      hashes[split] = hash;
    }
  }
  return all;
}

std::map<std::string, std::string> code_hashes(const Task& task) {
  std::map<std::string, std::string> hashes;
  for (const Metric& metric : task.metrics) {
    if (metric.code.empty()) continue;
    std::ifstream stream(metric.code, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    hashes[metric.name] = xxh3_hex(text);
  }
  return hashes;
}

}  // namespace proctor
