// Texts that the page holds packed: each a zlib stream in base64, in an element of its own, which the browser unpacks
// when somebody looks at it. So a page of many samples opens at once.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace proctor {

class Blobs {
 public:
  /// Its number, from 0.
  std::size_t add(const std::string& text);
  /// As `<script type="text/plain" id="blob-N">`, one after another.
  void append_to(std::string& page) const;

 private:
  std::vector<std::string> packed_;  // in base64
};

/// RFC 4648.
std::string base64(const std::string& bytes);

}  // namespace proctor
