// Facts of model folders, kept from start to start, so that an unchanged folder costs no process. One file for each
// (worker binary, folder as it is, module); what cannot be read or written is as if it were not there.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "sharding/protocol/facts.h"
#include "sharding/protocol/module.h"

namespace proctor {

class FactsCache {
 public:
  /// `folder`: of the cache; empty: nothing is kept. `worker`: the binary whose answers these are.
  FactsCache(std::filesystem::path folder, const std::filesystem::path& worker);

  /// Where the facts of the module's folder, as it is now, are kept; empty where it cannot be looked at. To be taken
  /// before the worker is asked: a folder that changes meanwhile is asked about again.
  std::filesystem::path file_of(const Module& module) const;
  std::optional<ModelFacts> find(const std::filesystem::path& file) const;
  void keep(const std::filesystem::path& file, const ModelFacts& facts) const;

 private:
  std::filesystem::path folder_;
  std::string worker_;
};

/// Path, size, time of change and inode of a file, or of every file of a folder, as one text; empty where it cannot be
/// read or has more than a model folder's files.
std::string stamp_of(const std::filesystem::path& path);

}  // namespace proctor
