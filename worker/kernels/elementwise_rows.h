// The loops of elementwise.cc over one row, in float32 inside, inlined into what is compiled for each instruction set.
#pragma once

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numbers>

#include "worker/kernels/for_each_isa.h"

namespace proctor::rows {

constexpr std::int64_t kLanes = 16;  // partial sums, added up in their order

PROCTOR_INLINE float wide(float x) { return x; }
PROCTOR_INLINE float wide(c10::Half x) { return static_cast<float>(x); }
PROCTOR_INLINE float wide(c10::BFloat16 x) {
  const std::uint32_t bits = static_cast<std::uint32_t>(x.x) << 16;
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}
PROCTOR_INLINE void narrow(float x, float& out) { out = x; }
PROCTOR_INLINE void narrow(float x, c10::Half& out) { out = static_cast<c10::Half>(x); }
/// To nearest, ties to even; what is not a number stays so.
PROCTOR_INLINE void narrow(float x, c10::BFloat16& out) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const std::uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  out.x = static_cast<std::uint16_t>(x == x ? rounded : 0x7FC0);
}
template <class T>
PROCTOR_INLINE float rounded(float x) {
  T out;
  narrow(x, out);
  return wide(out);
}

/// The sum of term(i) for i < width.
template <class Term>
PROCTOR_INLINE float sum_of(std::int64_t width, const Term& term) {
  float lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes)
    for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  float sum = 0;
  for (; i < width; ++i) sum += term(i);
  for (const float lane : lanes) sum += lane;
  return sum;
}

struct NormOfRow {
  float epsilon = 0, plus = 0;  // plus: what is added to weights; then it rounds once
  bool rounds_once = false;
};

template <class T>
PROCTOR_INLINE void norm_row(const T* x, const T* weight, T* out, std::int64_t width, const NormOfRow& norm) {
  const float sum = sum_of(width, [&](std::int64_t i) { return wide(x[i]) * wide(x[i]); });
  const float factor = 1.0f / std::sqrt(sum / static_cast<float>(width) + norm.epsilon);
  if (norm.rounds_once) {
    for (std::int64_t i = 0; i < width; ++i) narrow(wide(x[i]) * factor * (norm.plus + wide(weight[i])), out[i]);
    return;
  }
  for (std::int64_t i = 0; i < width; ++i) narrow(rounded<T>(wide(x[i]) * factor) * wide(weight[i]), out[i]);
}

template <class T>
PROCTOR_INLINE void add_row(T* x, const T* y, std::int64_t width) {
  for (std::int64_t i = 0; i < width; ++i) narrow(wide(x[i]) + wide(y[i]), x[i]);
}

template <class T>
PROCTOR_INLINE void layer_norm_row(const T* x, T* y, const T* bias, const T* weight, const T* norm_bias,
                                   std::int64_t width, float epsilon) {
  const auto n = static_cast<float>(width);
  for (std::int64_t i = 0; i < width; ++i) narrow(wide(x[i]) + (wide(y[i]) + wide(bias[i])), y[i]);
  const float mean = sum_of(width, [&](std::int64_t i) { return wide(y[i]); }) / n;
  const float variance = sum_of(width, [&](std::int64_t i) { return (wide(y[i]) - mean) * (wide(y[i]) - mean); }) / n;
  const float factor = 1.0f / std::sqrt(variance + epsilon);
  for (std::int64_t i = 0; i < width; ++i)
    narrow((wide(y[i]) - mean) * factor * wide(weight[i]) + wide(norm_bias[i]), y[i]);
}

/// Coefficients from the highest power down.
template <class... Lower>
PROCTOR_INLINE float polynomial(float x, float highest, Lower... lower) {
  ((highest = highest * x + lower), ...);
  return highest;
}

/// In float32, to 4e-7: the rational approximation of Eigen's generic_fast_erf_float, which XLA uses too.
PROCTOR_INLINE float error_function(float x) {
  const float at = std::min(std::max(x, -4.0f), 4.0f);
  return at *
         polynomial(at * at, -2.72614225801306e-10f, 2.77068142495902e-08f, -2.10102402082508e-06f,
                    -5.69250639462346e-05f, -7.34990630326855e-04f, -2.95459980854025e-03f, -1.60960333262415e-02f) /
         polynomial(at * at, -1.45660718464996e-05f, -2.13374055278905e-04f, -1.68282697438203e-03f,
                    -7.37332916720468e-03f, -1.42647390514189e-02f);
}

/// x + bias, then x * Phi(x) (Hendrycks and Gimpel 2016, arXiv:1606.08415).
template <class T>
PROCTOR_INLINE void gelu_row(T* x, const T* bias, std::int64_t width) {
  constexpr auto kRoot = static_cast<float>(1 / std::numbers::sqrt2);
  for (std::int64_t i = 0; i < width; ++i) {
    const float value = wide(x[i]) + wide(bias[i]);
    narrow(0.5f * value * (1.0f + error_function(kRoot * value)), x[i]);
  }
}

template <class T>
PROCTOR_INLINE void rotate_halves(T* x, const float* cos, const float* sin, std::int64_t half) {
  for (std::int64_t i = 0; i < half; ++i) {
    const float a = wide(x[i]), b = wide(x[i + half]);
    narrow(a * cos[i] - b * sin[i], x[i]);
    narrow(b * cos[i] + a * sin[i], x[i + half]);
  }
}

template <class T>
PROCTOR_INLINE void rotate_pairs(T* x, const float* cos, const float* sin, std::int64_t half) {
  for (std::int64_t i = 0; i < half; ++i) {
    const float a = wide(x[2 * i]), b = wide(x[2 * i + 1]);
    narrow(a * cos[i] - b * sin[i], x[2 * i]);
    narrow(b * cos[i] + a * sin[i], x[2 * i + 1]);
  }
}

}  // namespace proctor::rows
