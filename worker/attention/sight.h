// What a query sees of keys by where both are: windows, chunks, biases. Built once a batch. Compute thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <span>

#include "worker/checkpoint/decoder_config.h"

namespace proctor {

constexpr float kHidden = -std::numeric_limits<float>::infinity();  ///< added to the product of what is not seen

/// What is added to products of queries and keys, by where they are.
class PositionMasks {
 public:
  PositionMasks(const DecoderConfig& config, const at::TensorOptions& options);
  bool has_biases() const { return slopes_.defined(); }
  /// keys [batch, queries, keys] and queries [batch, queries]: positions, float32, on the host; an infinite one is not
  /// seen -> [batch, heads | 1, queries, keys].
  at::Tensor of(const at::Tensor& keys, const at::Tensor& queries) const;

 private:
  at::Tensor bias(const at::Tensor& positions) const;

  at::TensorOptions options_;
  bool rounds_;
  double scale_;
  at::Tensor slopes_;  // [1, heads, 1, 1], float32; undefined: no biases (ALiBi, Press et al. 2022, arXiv:2108.12409)
};

/// The first position that one attends in a layer with this window (0: all).
std::int64_t first_seen(std::int64_t position, std::int64_t window, bool chunks);

/// What queries see of keys that lie one after another, all before them.
struct Sight {
  std::int64_t first = 0, count = 0;  ///< from the first key that any of them sees to the last
  at::Tensor keys;                    ///< [queries, count], as above; undefined: all see all, and where decides nothing
  at::Tensor hidden;                  ///< [queries], bool, on the host: sees none of them; undefined: none such
};
/// `count` keys at positions first_key and on. window 0: none. Nothing where nobody sees any.
std::optional<Sight> sight_of(std::span<const std::int64_t> queries, std::int64_t first_key, std::int64_t count,
                              std::int64_t window, bool chunks, bool has_biases);

}  // namespace proctor
