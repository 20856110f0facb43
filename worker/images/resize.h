// Antialiased resizing exactly as the libraries of transformers' image processors do it: integers on every CPU alike.
// Pure; any thread may call it.
#pragma once

#include "worker/checkpoint/image_processor.h"
#include "worker/images/picture.h"

namespace proctor {

/// height x width pixels, both above 0; a picture of that size already is given back as it is. pillow: Image.resize.
/// aten_bytes: torch's upsample_*_aa on uint8 as on a CPU with AVX2, of nearest, bilinear and bicubic. aten_floats: the
/// same on float32, clamped and rounded half to even, as ATen's AVX2 and AVX-512 builds add it up; of a result one
/// pixel wide, where ATen runs another loop, a byte may be its neighbour. The image processor's reader refuses other
/// filters of ATen's.
Picture resized(const Picture& picture, std::int64_t height, std::int64_t width, Resample resample, Resizing resizing);

}  // namespace proctor
