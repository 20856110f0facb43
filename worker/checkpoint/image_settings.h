// How a folder's images are prepared for a module and a task: its processor, with what they change of it. Includes no
// torch.
#pragma once

#include "sharding/protocol/image_options.h"
#include "worker/checkpoint/image_processor.h"
#include "worker/checkpoint/model_folder.h"

namespace proctor {

/// Of a folder that reads images (ModelFolder::vision). Throws InputError as read_image_processor, and for a processor
/// whose tiles the tower does not take.
ImageProcessor image_processor_of(const ModelFolder& folder, const ImageOptions& options);

}  // namespace proctor
