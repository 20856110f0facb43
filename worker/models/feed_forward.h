// The feed-forward block of a decoder's layer: dense, or a choice among experts (Shazeer et al. 2017,
// arXiv:1701.06538). In a gang each member has some of the width, of every expert too. Compute thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "worker/checkpoint/decoder_config.h"
#include "worker/communicator/communicator.h"
#include "worker/kernels/elementwise.h"
#include "worker/models/row_parallel.h"
#include "worker/models/weights.h"

namespace proctor {

/// Which experts each row goes through, best first, equal ones by their number; and what each gives counts for.
struct Routing {
  at::Tensor experts;  ///< [rows, chosen], int64
  at::Tensor weights;  ///< [rows, chosen], float32
};
/// logits [rows, experts], of the router; correction [experts], float32, or undefined.
Routing route(const at::Tensor& logits, const at::Tensor& correction, const Experts& experts);

class FeedForward {
 public:
  /// config: this member's. layer: "layers.N.". The communicator must outlive every call.
  FeedForward(const DecoderConfig& config, std::int64_t layer, const Weights& weights, Communicator& gang);

  /// Collective. x [rows, hidden] -> the same, a new tensor, the same in every member.
  at::Tensor operator()(const at::Tensor& x, Products products) const;

  /// Elements of the weights that a row goes through, of this member.
  double active_elements() const;
  /// A product's, of those that a row goes through.
  std::vector<at::Tensor> products() const;

 private:
  struct Dense {
    at::Tensor inner, inner_bias, down, down_bias;
  };
  at::Tensor activated(const at::Tensor& inner) const;
  /// Without the other members' part.
  at::Tensor dense(const Dense& weights, const at::Tensor& x, Products products) const;
  at::Tensor experts(const at::Tensor& x, Products products) const;
  Dense expert(std::int64_t number) const;

  Activation activation_;
  bool gated_;
  Experts facts_;  // count 0: dense
  Communicator& gang_;
  Dense dense_;  // or of all experts, one below the other
  Dense shared_;
  Xielu xielu_;
  at::Tensor router_, router_bias_, correction_, shared_gate_;
};

}  // namespace proctor
