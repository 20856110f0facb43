// A file's text from beginning to end; of .gz and .zst what is packed in it.
#pragma once

#include <istream>
#include <memory>
#include <string>

namespace proctor {

/// The name without .gz or .zst.
std::string unpacked_name(const std::string& path);

/// Behind a byte order mark, if there is one. It cannot be sought in.
class TextFile final : public std::istream {
 public:
  /// Throws UsageError where there is no such file; InputError where it is UTF-16, or packed while its name does not
  /// say so, or the other way round. Reading throws InputError where what is packed is damaged or cut off.
  explicit TextFile(const std::string& path);
  ~TextFile() override;

 private:
  std::unique_ptr<std::streambuf> buffer_;
};

}  // namespace proctor
