// Texts put aside until they are wanted, in another order: in a file without a name, so that a killed run leaves
// nothing. One thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "sharding/protocol/descriptor.h"

namespace proctor {

class Spool {
 public:
  struct Place {
    std::uint64_t offset = 0, size = 0;  ///< bytes
  };
  /// `folder`: on the file system that shall hold it; made if it is missing. Nothing is opened before the first text.
  explicit Spool(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Throws StoreFailure where the disk is full or fails, else EnvironmentError.
  Place put(std::string_view text);
  /// The texts at these places, one after another. Throws as put.
  std::string text(std::span<const Place> places);

 private:
  void flush();
  std::filesystem::path folder_;
  Descriptor file_;
  std::string buffer_;
  std::uint64_t written_ = 0;
};

}  // namespace proctor
