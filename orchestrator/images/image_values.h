// What a row says of its images: paths, lists of them, bytes as datasets write them, base64.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "orchestrator/images/image_files.h"

namespace proctor {

/// Writes down what a value holds as bytes or base64, and leaves {"image": HASH} in its place. Throws InputError.
void store_images(nlohmann::ordered_json& value, ImageFiles& files, const std::string& where);

/// Null and an empty text are none, in a list too. `data_file`: in whose folder paths begin. Throws InputError naming
/// `where` and the image.
std::vector<Image> images_of(nlohmann::ordered_json value, ImageFiles& files, const std::string& data_file,
                             const std::string& where);

}  // namespace proctor
