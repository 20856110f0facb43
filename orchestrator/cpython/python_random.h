// CPython's random.Random, bit for bit (3.10 to 3.13): MT19937 seeded by init_by_array, 53-bit random(), _randbelow by
// rejection, sample(), shuffle(), choices(). Source of the algorithms: CPython's Lib/random.py and
// Modules/_randommodule.c.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace proctor::python {

class Random {
 public:
  static constexpr std::size_t kStateWords = 624;
  explicit Random(std::uint64_t seed);

  double random();                           ///< [0, 1), 53 bits
  std::uint64_t below(std::uint64_t bound);  ///< _randbelow; bound > 0
  /// Indices of sample(range(population), count): count <= population.
  std::vector<std::uint32_t> sample(std::uint32_t population, std::uint32_t count);
  /// Where shuffle() puts range(size).
  std::vector<std::uint32_t> shuffled(std::uint32_t size);
  /// One index of choices(range(population), k=...).
  std::uint32_t choice(std::uint32_t population) { return static_cast<std::uint32_t>(random() * population); }
  /// MT19937's words; before anything was drawn they are those of the seed.
  const std::array<std::uint32_t, kStateWords>& state() const { return state_; }

 private:
  std::uint32_t next();
  std::uint32_t bits(unsigned count);
  std::array<std::uint32_t, kStateWords> state_;
  std::size_t index_ = kStateWords;
};

}  // namespace proctor::python
