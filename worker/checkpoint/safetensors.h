// Safetensors files, nothing trusted: header bounded, offsets in range, not overlapping, shape times dtype equal to the
// bytes. Reads by pread into the caller's buffer. Includes no torch, so that sanitizers and fuzzers reach it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace proctor {

struct TensorEntry {
  std::string dtype;  ///< F32, BF16, F16, ...
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;  ///< bytes within the file
};

std::uint64_t dtype_bytes(const std::string& dtype);  ///< of one element; throws InputError for an unknown one

/// The header of one file. `file_bytes`: the whole file; `file` is named in messages. Throws InputError.
std::map<std::string, TensorEntry> parse_safetensors_header(std::string_view head, std::uint64_t file_bytes,
                                                            const std::string& file);

class SafetensorsFile {
 public:
  explicit SafetensorsFile(std::string path);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;  // one owner of the descriptor
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::string& path() const { return path_; }
  const std::map<std::string, TensorEntry>& tensors() const { return tensors_; }
  std::uint64_t file_bytes() const { return file_bytes_; }
  /// `bytes` of the file from `offset`, into `buffer`. Throws InputError on a short read.
  void read(std::uint64_t offset, std::uint64_t bytes, void* buffer) const;

 private:
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t file_bytes_ = 0;
  std::map<std::string, TensorEntry> tensors_;
};

/// A checkpoint: model.safetensors, or the tensors that model.safetensors.index.json maps to files.
class Checkpoint {
 public:
  explicit Checkpoint(const std::string& folder);
  struct Found {
    const SafetensorsFile* file;
    const TensorEntry* entry;
  };
  bool has(const std::string& tensor) const { return where_.contains(tensor); }
  Found find(const std::string& tensor) const;  ///< throws InputError naming the nearest thing to do
  const std::vector<std::unique_ptr<SafetensorsFile>>& files() const { return files_; }
  const std::map<std::string, Found>& tensors() const { return where_; }

 private:
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Found> where_;
  std::string folder_;
};

}  // namespace proctor
