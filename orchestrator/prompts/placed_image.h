// Images and where they stand in a text: `<image>`, `<image 2>` in what the user writes, a placeholder in what a chat
// template writes, parts of a request in the end.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sharding/protocol/request.h"

namespace proctor {

struct PlacedImage {
  std::size_t at = 0;  ///< bytes of the text before it
  Image image;
  bool operator==(const PlacedImage&) const = default;
};

/// Takes the marks out of a text: `<image>` is the next image, `<image 2>` the second, which may stand several times.
/// Without a mark all images stand in front. Images that no `<image 2>` names are left out where some are named so.
/// Throws InputError naming `where`: more marks than images; images that are left over.
std::vector<PlacedImage> take_marks(std::string& text, std::span<const Image> images, const std::string& where);

/// Texts and images in the order in which they stand, without empty texts beside images; one text where there are none.
std::vector<Part> parts_of(std::string text, std::span<const PlacedImage> images);

/// A text cut where a placeholder stands, an image for each; nothing where there are more or fewer.
std::optional<std::vector<Part>> cut_at(std::string_view placeholder, const std::string& text,
                                        std::span<const Image> images);
/// How often it stands there.
std::size_t count_of(std::string_view placeholder, std::string_view text);

}  // namespace proctor
