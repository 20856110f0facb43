// A request's image, read from its file. Any thread may call it.
#pragma once

#include "sharding/protocol/request.h"
#include "worker/images/picture.h"

namespace proctor {

/// Throws InputError naming the file: it cannot be read, its bytes are not those that the request was planned with, or
/// as decode_image does.
Picture read_image(const Image& image, bool upright);

}  // namespace proctor
