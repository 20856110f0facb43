#include "sharding/images/image_header.h"

#include <array>
#include <optional>
#include <string>

#include "sharding/images/format_headers.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using namespace std::string_view_literals;

/// What is not read, by how it begins.
struct OtherKind {
  std::size_t at;
  std::string_view signature;
  const char* name;
};
constexpr std::array kOtherKinds = {OtherKind{0, "II*\0"sv, "TIFF"},
                                    OtherKind{0, "II+\0"sv, "TIFF"},
                                    OtherKind{0, "MM\0*"sv, "TIFF"},
                                    OtherKind{0, "MM\0+"sv, "TIFF"},
                                    OtherKind{4, "ftypavif"sv, "AVIF"},
                                    OtherKind{4, "ftypavis"sv, "AVIF"},
                                    OtherKind{4, "ftyphe"sv, "HEIC"},
                                    OtherKind{4, "ftypmif1"sv, "HEIC"},
                                    OtherKind{4, "ftypmsf1"sv, "HEIC"},
                                    OtherKind{4, "ftyp"sv, "a video (MP4)"},
                                    OtherKind{0, "\0\0\1\0"sv, "an icon (ICO)"},
                                    OtherKind{0, "\0\0\2\0"sv, "a cursor (CUR)"},
                                    OtherKind{0, "8BPS"sv, "Photoshop (PSD)"},
                                    OtherKind{4, "jP  "sv, "JPEG 2000"},
                                    OtherKind{0, "\xFF\x4F\xFF\x51"sv, "JPEG 2000"},
                                    OtherKind{4, "JXL "sv, "JPEG XL"},
                                    OtherKind{0, "\xFF\x0A"sv, "JPEG XL"},
                                    OtherKind{0, "%PDF"sv, "PDF"},
                                    OtherKind{0, "version https://git-lfs"sv, "a Git LFS pointer, not the file"}};

/// Text that a browser would take, however it begins.
std::optional<std::string> markup_name(std::string_view bytes) {
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  if (first == bytes.npos || bytes[first] != '<') return std::nullopt;
  std::string begin(bytes.substr(first, 512));
  for (char& c : begin) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (begin.find("<svg") != begin.npos) return "SVG";
  if (begin.find("<html") != begin.npos || begin.starts_with("<!doctype html")) return "an HTML page";
  return begin.starts_with("<?xml") ? std::optional<std::string>("XML") : std::nullopt;
}

std::string name_of_other(std::string_view bytes) {
  for (const OtherKind& kind : kOtherKinds)
    if (bytes.size() >= kind.at && bytes.substr(kind.at).starts_with(kind.signature)) return kind.name;
  if (const auto markup = markup_name(bytes)) return *markup;
  return bytes.empty() ? "an empty file" : "no kind of image that is known";
}

ImageHeader read_known(const ByteFields& file) {
  if (file.starts_with("\xFF\xD8\xFF")) return read_jpeg_header(file);
  if (file.starts_with("\x89PNG\r\n\x1A\n")) return read_png_header(file);
  if (file.starts_with("RIFF") && file.has(8, 4) && file.text(8, 4) == "WEBP") return read_webp_header(file);
  if (file.starts_with("GIF87a") || file.starts_with("GIF89a")) return read_gif_header(file);
  if (file.starts_with("BM")) return read_bmp_header(file);
  throw InputError("is " + name_of_other(file.text(0, file.size())) +
                   "; JPEG, PNG, WebP, GIF and BMP are read, whatever the file's name");
}

std::string sides(const ImageHeader& header) {
  return std::to_string(header.width) + " x " + std::to_string(header.height) + " pixels";
}

}  // namespace

ImageHeader read_image_header(std::string_view bytes) {
  if (static_cast<std::int64_t>(bytes.size()) > kMaxImageBytes)
    throw InputError("has " + std::to_string(bytes.size()) + " bytes; at most " + std::to_string(kMaxImageBytes) +
                     " are read");
  const ImageHeader header = read_known(ByteFields(bytes));
  if (header.width < 1 || header.height < 1) throw InputError("has " + sides(header));
  if (header.width > kMaxSide || header.height > kMaxSide)
    throw InputError("has " + sides(header) + "; a side has at most " + std::to_string(kMaxSide));
  if (header.width * header.height > kMaxPixels)
    throw InputError("has " + sides(header) + "; at most " + std::to_string(kMaxPixels) + " are decoded");
  return header;
}

const char* to_string(ImageKind kind) {
  switch (kind) {
    case ImageKind::jpeg:
      return "JPEG";
    case ImageKind::png:
      return "PNG";
    case ImageKind::webp:
      return "WebP";
    case ImageKind::gif:
      return "GIF";
    case ImageKind::bmp:
      return "BMP";
  }
  return "?";
}

}  // namespace proctor
