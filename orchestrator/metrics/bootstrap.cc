#include "orchestrator/metrics/bootstrap.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <thread>
#include <vector>

#include "orchestrator/cpython/python_random.h"

namespace proctor {
namespace {

constexpr std::uint32_t kChunk = 1000;  // replicates of one stream
constexpr std::size_t kLanes = 8;
constexpr std::size_t kState = python::Random::kStateWords, kMiddle = 397;
constexpr std::size_t kDraws = kState / 2;  // of a full turn of the generators: two words a draw

// Arithmetic on all lanes at once; GCC and Clang make of it what the instruction set has. Every operation is one that
// IEEE 754 or integers round in one way only, so that the width does not show.
using Words = std::uint32_t __attribute__((vector_size(4 * kLanes)));
using Signed = std::int32_t __attribute__((vector_size(4 * kLanes)));
using Doubles = double __attribute__((vector_size(8 * kLanes)));
using Masks = std::int64_t __attribute__((vector_size(8 * kLanes)));

#define PROCTOR_EVERY_WIDTH __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))

struct Lanes {
  std::array<Words, kState> state;
  alignas(64) std::array<std::int32_t, kDraws * kLanes> indices;
  alignas(64) std::array<double, kDraws * kLanes> drawn;
  std::size_t next = kDraws;  // of `drawn`
  Doubles sum, compensation;
};

// As macros: a lambda would be compiled for the oldest instruction set, and called.
#define PROCTOR_TWIST(k, after, middle)                                      \
  do {                                                                       \
    const Words y = (state[k] & 0x80000000u) | (state[after] & 0x7fffffffu); \
    state[k] = state[middle] ^ y >> 1 ^ ((y & 1u) * 0x9908b0dfu);            \
  } while (false)
#define PROCTOR_TEMPER(y)       \
  do {                          \
    y ^= y >> 11;               \
    y ^= y << 7 & 0x9d2c5680u;  \
    y ^= y << 15 & 0xefc60000u; \
    y ^= y >> 18;               \
  } while (false)

/// One turn of MT19937 in every lane, and of each two words an index: floor(random() * size).
PROCTOR_EVERY_WIDTH void turn(Lanes& lanes, double size) {
  Words* const state = lanes.state.data();
  for (std::size_t k = 0; k < kState - kMiddle; ++k) PROCTOR_TWIST(k, k + 1, k + kMiddle);
  for (std::size_t k = kState - kMiddle; k < kState - 1; ++k) PROCTOR_TWIST(k, k + 1, k + kMiddle - kState);
  PROCTOR_TWIST(kState - 1, 0, kMiddle - 1);
  for (std::size_t d = 0; d < kDraws; ++d) {
    Words first = state[2 * d], second = state[2 * d + 1];
    PROCTOR_TEMPER(first);
    PROCTOR_TEMPER(second);
    // Below 2^27 and 2^26: exact as signed numbers, whose conversion every instruction set has.
    const Doubles high = __builtin_convertvector((Signed)(first >> 5), Doubles),
                  low = __builtin_convertvector((Signed)(second >> 6), Doubles);
    const Doubles random = (high * 67108864.0 + low) * (1.0 / 9007199254740992.0);  // both steps exact
    *reinterpret_cast<Signed*>(lanes.indices.data() + d * kLanes) = __builtin_convertvector(random * size, Signed);
  }
}

/// Adds `count` draws of each lane, as CPython's sum() does (python_sum).
PROCTOR_EVERY_WIDTH void add(Lanes& lanes, std::size_t count, PythonSum how) {
  Doubles sum = lanes.sum, compensation = lanes.compensation;
  const auto* drawn = reinterpret_cast<const Doubles*>(lanes.drawn.data()) + lanes.next;
  constexpr std::int64_t kWithoutSign = 0x7fffffffffffffff;
  for (std::size_t d = 0; d < count; ++d) {
    const Doubles value = drawn[d], next = sum + value;
    if (how == PythonSum::compensated) {
      const Masks sum_is_larger = (Doubles)((Masks)sum & kWithoutSign) >= (Doubles)((Masks)value & kWithoutSign);
      compensation += sum_is_larger ? (sum - next) + value : (value - next) + sum;
    }
    sum = next;
  }
  lanes.sum = sum;
  lanes.compensation = compensation;
  lanes.next += count;
}

void draw(Lanes& lanes, std::span<const double> values) {
  turn(lanes, static_cast<double>(values.size()));
  for (std::size_t i = 0; i < lanes.indices.size(); ++i) lanes.drawn[i] = values[lanes.indices[i]];
  lanes.next = 0;
}

/// Of a generator with that seed. Every cell begins with the same hundred, and seeding one takes as long as 2,500
/// draws.
std::array<std::uint32_t, kState> state_of(std::uint32_t seed) {
  constexpr std::uint32_t kKept = 128;
  static const auto known = [] {
    std::vector<std::array<std::uint32_t, kState>> states;
    for (std::uint32_t one = 0; one < kKept; ++one) states.push_back(python::Random(one).state());
    return states;
  }();
  return seed < kKept ? known[seed] : python::Random(seed).state();
}

/// Chunks `first` to `first` + lanes.
void run_chunks(std::span<const double> values, std::uint32_t first, std::uint32_t chunk, PythonSum how,
                std::span<double> sums) {
  const auto lanes = std::make_unique<Lanes>();
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const auto state = state_of(first + static_cast<std::uint32_t>(lane));
    for (std::size_t k = 0; k < kState; ++k) lanes->state[k][lane] = state[k];
  }
  for (std::uint32_t replicate = 0; replicate < chunk; ++replicate) {
    lanes->sum = lanes->compensation = Doubles{};
    for (std::size_t left = values.size(); left > 0;) {
      if (lanes->next == kDraws) draw(*lanes, values);
      const std::size_t count = std::min(left, kDraws - lanes->next);
      add(*lanes, count, how);
      left -= count;
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const std::size_t at = (first + lane) * std::size_t{chunk} + replicate;
      const double compensation = lanes->compensation[lane];
      if (at < sums.size())
        sums[at] = lanes->sum[lane] + (compensation != 0 && std::isfinite(compensation) ? compensation : 0.0);
    }
  }
}

}  // namespace

std::vector<double> resampled_sums(std::span<const double> values, std::uint32_t iterations, PythonSum how,
                                   unsigned threads) {
  const std::uint32_t chunk = std::min(kChunk, iterations), chunks = iterations / chunk;
  std::vector<double> sums(std::size_t{chunks} * chunk);
  std::atomic<std::uint32_t> next = 0;
  const auto work = [&] {
    for (std::uint32_t first = 0; (first = next.fetch_add(kLanes)) < chunks;)
      run_chunks(values, first, chunk, how, sums);
  };
  std::vector<std::jthread> others;
  for (unsigned i = 1; i < std::min<unsigned>(threads, (chunks + kLanes - 1) / kLanes); ++i) others.emplace_back(work);
  work();
  others.clear();
  return sums;
}

}  // namespace proctor
