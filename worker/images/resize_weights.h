// Which input positions make up an output position, and with what weights: libImaging/Resample.c (precompute_coeffs)
// and ATen's UpSampleKernel.cpp (_compute_indices_min_size_weights_aa), which agree but for the type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "worker/checkpoint/image_processor.h"

namespace proctor {

template <class Value>
struct Weights {
  struct Span {
    std::int64_t first = 0, count = 0;  ///< input positions
    std::size_t offset = 0;             ///< of its first weight in values
  };
  std::vector<Span> spans;  ///< one for each output position
  std::vector<Value> values;

  const Value* of(const Span& span) const { return values.data() + span.offset; }
};

/// resample: not nearest. The weights of a position sum to 1.
Weights<double> weights_in_double(std::int64_t in, std::int64_t out, Resample resample);
/// As ATen computes them for float32: bilinear or bicubic.
Weights<float> weights_in_float(std::int64_t in, std::int64_t out, Resample resample);

/// value * 2^bits, rounded away from zero at halves.
Weights<std::int32_t> in_fixed_point(const Weights<double>& weights, int bits);
/// As many as let the largest weight fit an int16, as ATen chooses them.
int bits_for_int16(const Weights<double>& weights);

/// Pillow's: 8 bits for the pixel and 2 to spare of an int32.
constexpr int kPillowBits = 32 - 8 - 2;

}  // namespace proctor
