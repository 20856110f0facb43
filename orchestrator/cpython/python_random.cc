#include "orchestrator/cpython/python_random.h"

#include <bit>
#include <cmath>
#include <numeric>
#include <unordered_set>
#include <utility>

namespace proctor::python {
namespace {
constexpr std::size_t kN = Random::kStateWords, kM = 397;
}

Random::Random(std::uint64_t seed) {
  state_[0] = 19650218u;
  for (std::uint32_t i = 1; i < kN; ++i) state_[i] = 1812433253u * (state_[i - 1] ^ state_[i - 1] >> 30) + i;
  std::vector<std::uint32_t> key = {static_cast<std::uint32_t>(seed)};
  if (seed >> 32) key.push_back(static_cast<std::uint32_t>(seed >> 32));
  std::size_t i = 1, j = 0;
  for (std::size_t k = kN; k > 0; --k) {
    state_[i] = (state_[i] ^ (state_[i - 1] ^ state_[i - 1] >> 30) * 1664525u) + key[j] + static_cast<std::uint32_t>(j);
    if (++i >= kN) state_[0] = state_[kN - 1], i = 1;
    if (++j >= key.size()) j = 0;
  }
  for (std::size_t k = kN - 1; k > 0; --k) {
    state_[i] = (state_[i] ^ (state_[i - 1] ^ state_[i - 1] >> 30) * 1566083941u) - static_cast<std::uint32_t>(i);
    if (++i >= kN) state_[0] = state_[kN - 1], i = 1;
  }
  state_[0] = 0x80000000u;
}

std::uint32_t Random::next() {
  if (index_ >= kN) {
    for (std::size_t k = 0; k < kN; ++k) {
      const std::uint32_t y = (state_[k] & 0x80000000u) | (state_[(k + 1) % kN] & 0x7fffffffu);
      state_[k] = state_[(k + kM) % kN] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0u);
    }
    index_ = 0;
  }
  std::uint32_t y = state_[index_++];
  y ^= y >> 11;
  y ^= y << 7 & 0x9d2c5680u;
  y ^= y << 15 & 0xefc60000u;
  return y ^ y >> 18;
}

double Random::random() {
  const std::uint32_t a = next() >> 5, b = next() >> 6;
  return (a * 67108864.0 + b) * (1.0 / 9007199254740992.0);
}

std::uint32_t Random::bits(unsigned count) { return next() >> (32 - count); }

std::uint64_t Random::below(std::uint64_t bound) {
  const auto width = static_cast<unsigned>(std::bit_width(bound));
  for (;;) {
    std::uint64_t value = width <= 32 ? bits(width) : next();
    if (width > 32) value |= static_cast<std::uint64_t>(bits(width - 32)) << 32;
    if (value < bound) return value;
  }
}

std::vector<std::uint32_t> Random::sample(std::uint32_t population, std::uint32_t count) {
  double set_size = 21;
  if (count > 5) set_size += std::pow(4, std::ceil(std::log(count * 3.0) / std::log(4.0)));
  std::vector<std::uint32_t> chosen;
  if (population <= set_size) {
    std::vector<std::uint32_t> pool(population);
    std::iota(pool.begin(), pool.end(), 0u);
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto j = below(population - i);
      chosen.push_back(pool[j]);
      pool[j] = pool[population - i - 1];
    }
    return chosen;
  }
  std::unordered_set<std::uint32_t> seen;
  while (chosen.size() < count) {
    const auto j = static_cast<std::uint32_t>(below(population));
    if (seen.insert(j).second) chosen.push_back(j);
  }
  return chosen;
}

std::vector<std::uint32_t> Random::shuffled(std::uint32_t size) {
  std::vector<std::uint32_t> order(size);
  std::iota(order.begin(), order.end(), 0u);
  for (std::uint32_t i = size; i-- > 1;) std::swap(order[i], order[below(i + 1)]);
  return order;
}

}  // namespace proctor::python
