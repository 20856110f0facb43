#include "orchestrator/planning/facts_cache.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "orchestrator/metrics/hashes.h"
#include "orchestrator/store/run_directory.h"
#include "sharding/protocol/facts_json.h"
#include "sharding/protocol/module_json.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMostFiles = 10000;
constexpr int kDeepest = 3;  // folders below a model's

/// As the file is, not the link to it: a folder of the Hugging Face cache holds links.
std::string stamp_of_file(const fs::path& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return "";
  return path.string() + '\0' + std::to_string(found.st_size) + " " + std::to_string(found.st_mtim.tv_sec) + "." +
         std::to_string(found.st_mtim.tv_nsec) + " " + std::to_string(found.st_ino) + "\n";
}

}  // namespace

std::string stamp_of(const fs::path& path) try {
  if (!fs::is_directory(path)) return stamp_of_file(path);
  std::vector<std::string> stamps;
  for (auto entry = fs::recursive_directory_iterator(path); entry != fs::recursive_directory_iterator(); ++entry) {
    if (entry.depth() >= kDeepest) entry.disable_recursion_pending();
    if (entry->is_directory()) continue;
    stamps.push_back(stamp_of_file(entry->path()));
    if (stamps.size() > kMostFiles) return "";
  }
  std::sort(stamps.begin(), stamps.end());
  std::string all = path.string() + "\n";
  for (const std::string& stamp : stamps) all += stamp;
  return all;
} catch (const fs::filesystem_error&) {
  return "";
}

FactsCache::FactsCache(fs::path folder, const fs::path& worker)
    : folder_(std::move(folder)), worker_(stamp_of(worker)) {}

fs::path FactsCache::file_of(const Module& module) const {
  const std::string model = stamp_of(module.path);
  if (folder_.empty() || worker_.empty() || model.empty()) return {};
  nlohmann::json asked = module;
  asked.erase("name");
  return folder_ / (xxh3_hex(worker_ + model + asked.dump()) + ".json");
}

std::optional<ModelFacts> FactsCache::find(const fs::path& file) const {
  if (file.empty()) return std::nullopt;
  std::ifstream stream(file);
  const nlohmann::json json = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
  try {
    return json.is_object() ? std::optional(json.get<ModelFacts>()) : std::nullopt;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

void FactsCache::keep(const fs::path& file, const ModelFacts& facts) const {
  if (file.empty()) return;
  std::error_code ignored;
  fs::create_directories(folder_, ignored);
  write_status_file(file, nlohmann::json(facts).dump());
}

}  // namespace proctor
