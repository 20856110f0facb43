// The functions between two layers of a feed-forward block. Includes no torch.
#pragma once

namespace proctor {

/// xielu: two learned numbers a layer (Huang and Schlag 2024, arXiv:2411.13010). swiglu_oai: gpt-oss', clamped.
enum class Activation { gelu, gelu_tanh, quick_gelu, relu, relu_squared, sigmoid, silu, tanh, xielu, swiglu_oai };

}  // namespace proctor
