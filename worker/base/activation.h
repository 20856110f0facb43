// The functions between two layers of a feed-forward block. Includes no torch.
#pragma once

namespace proctor {

enum class Activation { gelu, gelu_tanh, relu, silu };

}  // namespace proctor
