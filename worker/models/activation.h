// The functions between two layers of a feed-forward block. Includes no torch.
#pragma once

#include <optional>
#include <string>

namespace proctor {

enum class Activation { gelu, gelu_tanh, relu, silu };

/// By transformers' names (ACT2FN); nothing for one that is not implemented.
std::optional<Activation> activation_named(const std::string& name);

}  // namespace proctor
