#include "orchestrator/page/page_images.h"

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "sharding/protocol/input_file.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
constexpr std::uintmax_t kLargest = 1 << 20;        // bytes of a picture
constexpr std::size_t kLargestTogether = 24 << 20;  // bytes of all

/// As its first bytes tell it; "" for what browsers do not show.
std::string_view media_type(std::string_view bytes) {
  if (bytes.starts_with("\x89PNG")) return "image/png";
  if (bytes.starts_with("\xFF\xD8\xFF")) return "image/jpeg";
  if (bytes.starts_with("GIF8")) return "image/gif";
  if (bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP")) return "image/webp";
  return "";
}

std::string read_picture(const fs::path& path) {
  std::error_code none;
  if (why_no_file(path.string()) || fs::file_size(path, none) > kLargest || none) return "";
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

void PageImages::add(const Json& line, const fs::path& run) {
  const auto images = line.find("images");
  if (images == line.end() || !images->is_array()) return;
  for (const Json& image : *images) {
    if (!image.is_object() || !image.contains("hash") || !image.contains("path")) continue;
    const std::string hash = image["hash"].get<std::string>();
    if (parts_.contains(hash) || bytes_ > kLargestTogether) continue;
    const std::string bytes = read_picture(run / image["path"].get<std::string>());
    const std::string_view type = media_type(bytes);
    if (type.empty()) continue;
    bytes_ += bytes.size();
    parts_[hash] = blobs_.add("data:" + std::string(type) + ";base64," + base64(bytes));
  }
}

}  // namespace proctor
