#include "sharding/conductor/placement.h"

#include <algorithm>

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

/// Nodes of one size that divides the width, all free.
std::optional<std::vector<SlotId>> whole_nodes(std::span<const NodeSlots> nodes, std::uint32_t width) {
  for (const NodeSlots& first : nodes) {
    const std::size_t size = first.free.size();
    if (size == 0 || width % size != 0) continue;
    std::vector<SlotId> gang;
    for (const NodeSlots& node : nodes) {
      if (node.free.size() != size || std::ranges::find(node.free, false) != node.free.end()) continue;
      for (std::uint32_t slot = 0; slot < size; ++slot) gang.push_back({node.agent, slot});
      if (gang.size() == width) return gang;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::vector<std::uint32_t>> place(const std::vector<bool>& free, std::uint32_t width) {
  if (width == 0 || width > free.size()) return std::nullopt;
  if (auto aligned = first_run(free, width, width)) return aligned;
  return first_run(free, width, 1);
}

std::optional<std::vector<SlotId>> place_gang(std::span<const NodeSlots> nodes, std::uint32_t width, Reach reach) {
  bool wider_than_all = true;
  for (const NodeSlots& node : nodes) {
    wider_than_all = wider_than_all && width > node.free.size();
    const auto slots = place(node.free, width);
    if (!slots) continue;
    std::vector<SlotId> gang;
    for (std::uint32_t slot : *slots) gang.push_back({node.agent, slot});
    return gang;
  }
  if (reach == Reach::nodes && wider_than_all) return whole_nodes(nodes, width);
  return std::nullopt;
}

}  // namespace proctor
