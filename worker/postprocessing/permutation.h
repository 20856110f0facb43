// RankGPT's words, and how an order that a model wrote is read. Includes no torch.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace proctor {

/// The turns that ask for an order of the passages, each of its first 300 words; ends where the assistant's answer
/// begins.
std::string permutation_prompt(const std::string& query, std::span<const std::string> passages);

/// "[2] > [1]" -> {1, 0, ...}: the numbers in their order, from 1 on, without those repeated or past `count`; then
/// what was not named, in the order given. Always `count` places.
std::vector<std::size_t> read_permutation(const std::string& written, std::size_t count);

}  // namespace proctor
