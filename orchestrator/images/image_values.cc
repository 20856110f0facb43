#include "orchestrator/images/image_values.h"

#include <array>
#include <filesystem>
#include <optional>
#include <string_view>

#include "orchestrator/images/base64.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::size_t kLongestPath = 4096;  // Linux' PATH_MAX

/// Of the files that are read, and of those that are refused by name.
bool begins_as_image(std::string_view bytes) {
  using namespace std::string_view_literals;
  constexpr std::array kBeginnings = {"\xFF\xD8\xFF"sv, "\x89PNG"sv, "GIF8"sv, "RIFF"sv, "BM"sv, "II*\0"sv, "MM\0*"sv};
  for (const std::string_view beginning : kBeginnings)
    if (bytes.starts_with(beginning)) return true;
  return false;
}

/// Behind data:image/png;base64, or all of it; nothing where the text is a path. No path decodes to an image's first
/// bytes: one with an ending has a dot, which base64 has not.
std::optional<std::string> written_in(const std::string& text, const std::string& where) {
  std::string_view code = text;
  const bool url = code.starts_with("data:");
  if (url) code.remove_prefix(std::min(code.size(), code.find(',') + 1));
  std::optional<std::string> bytes = decode_base64(code);
  if ((url || text.size() > kLongestPath) && !bytes)
    throw InputError(where + ": an image is neither a path nor base64: '" + text.substr(0, 40) + "...'");
  if (url || text.size() > kLongestPath || (bytes && begins_as_image(*bytes))) return bytes;
  return std::nullopt;
}

[[noreturn]] void refuse(const Json& value, const std::string& where) {
  throw InputError(where + ": an image is " + value.dump().substr(0, 80) +
                   "; expected a path, base64, {\"bytes\": ..., \"path\": ...}, or a list of these");
}

bool is_text(const Json& value, const char* key) { return value.contains(key) && value[key].is_string(); }

std::string path_of(const Json& value, const ImageFiles& files, const fs::path& folder, const std::string& where) {
  if (value.is_object() && is_text(value, "image")) return files.path_of(value["image"].get<std::string>());
  const Json& path = value.is_object() && is_text(value, "path") ? value["path"] : value;
  if (!path.is_string() || path.get_ref<const std::string&>().empty()) refuse(value, where);
  return fs::absolute(folder / path.get<std::string>()).lexically_normal().string();
}

}  // namespace

void store_images(Json& value, ImageFiles& files, const std::string& where) {
  if (value.is_array()) {
    for (Json& one : value) store_images(one, files, where);
    return;
  }
  std::optional<std::string> bytes;
  if (value.is_string()) bytes = written_in(value.get_ref<const std::string&>(), where);
  if (value.is_object() && is_text(value, "bytes")) {
    bytes = decode_base64(value["bytes"].get_ref<const std::string&>());
    if (!bytes) throw InputError(where + ": an image's \"bytes\" are no base64");
  }
  if (bytes) value = {{"image", files.store(*bytes)}};
}

std::vector<Image> images_of(Json value, ImageFiles& files, const std::string& data_file, const std::string& where) {
  if (value.is_null()) return {};
  store_images(value, files, where);
  const Json list = value.is_array() ? std::move(value) : Json::array({std::move(value)});
  std::vector<Image> images;
  for (const Json& one : list) {
    if (one.is_null() || one == "") continue;
    const std::string path = path_of(one, files, fs::path(data_file).parent_path(), where);
    try {
      images.push_back(files.image(path, /*upright=*/false));
    } catch (const InputError& error) {
      throw InputError(where + ": image " + path + ": " + error.what());
    }
  }
  return images;
}

}  // namespace proctor
