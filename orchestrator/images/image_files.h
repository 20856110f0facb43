// The files that hold a run's images. Each is read once, for its hash and what its header says, and known again from
// start to start by its path, size and time of change. Images that come as bytes are written down under their hash.
// Used by one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>

#include "sharding/protocol/request.h"

namespace proctor {

struct ImageFile {
  std::string hash;                    ///< XXH3 of its bytes
  std::int64_t height = 0, width = 0;  ///< as they are stored
  bool lies = false;                   ///< turned upright, height and width change places
};

class ImageFiles {
 public:
  /// `folder`: of images that came as bytes and of what is known; made when it is needed. Empty: there is none.
  explicit ImageFiles(std::filesystem::path folder);

  /// `path`: absolute. Throws InputError, without the path: missing, no file, larger than 512 MiB, no known image.
  const ImageFile& at(const std::string& path);
  /// As a request has it.
  Image image(const std::string& path, bool upright);

  /// Writes bytes down, unless they are there, and gives their hash. Throws EnvironmentError where it cannot.
  std::string store(std::string_view bytes);
  /// Where those of that hash lie.
  std::string path_of(const std::string& hash) const { return (folder_ / hash).string(); }

  /// Keeps what is known for the next start, in a folder that is there or has been made; what cannot be written is as
  /// if nothing were known.
  void keep() const;

 private:
  struct Known {
    std::string stamp;  // size and time of change
    ImageFile file;
  };
  std::filesystem::path list() const { return folder_ / "known.tsv"; }
  void read_list();

  std::filesystem::path folder_;
  std::unordered_map<std::string, Known> known_;            // by path; of an earlier start, or looked at in this one
  std::unordered_map<std::string, const ImageFile*> seen_;  // in this start
};

}  // namespace proctor
