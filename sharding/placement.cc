#include "sharding/placement.h"

namespace proctor {
namespace {

std::optional<std::vector<std::uint32_t>> first_run(const std::vector<bool>& free, std::uint32_t width,
                                                    std::uint32_t step) {
  for (std::uint32_t begin = 0; begin + width <= free.size(); begin += step) {
    std::vector<std::uint32_t> slots;
    for (std::uint32_t slot = begin; slot < begin + width && free[slot]; ++slot) slots.push_back(slot);
    if (slots.size() == width) return slots;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::vector<std::uint32_t>> place(const std::vector<bool>& free, std::uint32_t width) {
  if (width == 0 || width > free.size()) return std::nullopt;
  if (auto aligned = first_run(free, width, width)) return aligned;
  return first_run(free, width, 1);
}

}  // namespace proctor
