#include "worker/models/vision/vision_tower.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>

#include "worker/kernels/elementwise.h"
#include "worker/kernels/packed_attention.h"
#include "worker/models/row_parallel.h"

namespace proctor {
namespace {

constexpr double kTheta = 10000;  // of rows and columns, in every tower that rotates

at::Tensor indices(const std::vector<std::int64_t>& values, const at::Device& device) {
  return at::tensor(values, at::kLong).to(device);
}

}  // namespace

at::Tensor VisionTower::Linear::operator()(const at::Tensor& x) const { return linear(x, weight, bias); }

VisionTower::VisionTower(const VisionConfig& config, const Weights& weights)
    : config_(config),
      patch_{weights.at("vision.patch"), weights.find("vision.patch_bias")},
      class_token_(weights.find("vision.class_token")),
      positions_(weights.find("vision.positions")),
      newline_(weights.find("projector.newline")),
      input_norm_(norm_named("vision.input_norm", config.norm, weights)),
      final_norm_(norm_named("vision.final_norm", config.final_norm, weights)),
      projector_(read_merger("projector.", weights, config.projector_norm)) {
  for (std::int64_t i = 0; i < config_.layers; ++i) layers_.push_back(read_layer(i, weights));
  for (std::size_t i = 0; i < config_.deepstack.size(); ++i)
    deepstack_.push_back(read_merger("vision.deepstack." + std::to_string(i) + ".", weights, config.projector_norm));
  const double width = static_cast<double>(config_.head_dim) / 2;
  if (config_.rotates)
    inverse_frequencies_ =
        (1.0 / at::pow(kTheta, at::arange(0, config_.head_dim / 2, 2, at::kFloat) / width)).to(patch_.weight.device());
}

VisionTower::Merger VisionTower::read_merger(const std::string& name, const Weights& weights,
                                             const NormFacts& norm) const {
  const auto linear = [&](const char* which) {
    return Linear{weights.find(name + which), weights.find(name + which + "_bias")};
  };
  return {norm_named(name + "norm", norm, weights), linear("first"), linear("second")};
}

VisionTower::Layer VisionTower::read_layer(std::int64_t index, const Weights& weights) const {
  const std::string of = "vision.layers." + std::to_string(index) + ".";
  const auto linear = [&](const char* name) {
    return Linear{weights.at(of + name), weights.find(of + name + "_bias")};
  };
  const auto norm = [&](const char* name) { return norm_named(of + name, config_.norm, weights); };
  const NormFacts of_heads = {NormFacts::Kind::rms, 1e-6};  // InternVL's, whatever the other norms have
  return {norm("attention_in"),
          norm("mlp_in"),
          norm_named(of + "q_norm", of_heads, weights),
          norm_named(of + "k_norm", of_heads, weights),
          linear("qkv"),
          linear("output"),
          linear("up"),
          linear("down"),
          weights.find(of + "attention_scale"),
          weights.find(of + "mlp_scale")};
}

/// The table read between its rows, weights and products rounded to the module's dtype as transformers does:
/// [patches, hidden] in the patches' order.
at::Tensor VisionTower::interpolated_positions(const PatchGrid& grid) const {
  const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(config_.positions))));
  struct Axis {
    at::Tensor low, high, part;  // [size]: table rows on both sides, how far between them
  };
  const auto axis = [&](std::int64_t size) {
    const at::Tensor at = at::linspace(0, static_cast<double>(side - 1), size, at::kFloat);
    const at::Tensor low = at.to(at::kInt);
    return Axis{low.to(at::kLong), (low + 1).clamp_max(side - 1).to(at::kLong), at - low};
  };
  const Axis y = axis(grid.height), x = axis(grid.width);
  std::vector<std::int64_t> rows, columns;
  for (const PatchPlace& place : places_of(grid, config_.merge)) {
    rows.push_back(place.row);
    columns.push_back(place.column);
  }
  const at::Tensor row = at::tensor(rows, at::kLong), column = at::tensor(columns, at::kLong);
  const at::Device device = positions_.device();
  const auto corner = [&](const at::Tensor& of_y, const at::Tensor& of_x, const at::Tensor& weight_y,
                          const at::Tensor& weight_x) {
    const at::Tensor index = of_y.index_select(0, row) * side + of_x.index_select(0, column);
    const at::Tensor weight = weight_y.index_select(0, row) * weight_x.index_select(0, column);
    return positions_.index_select(0, index.to(device)) * weight.to(positions_.options()).unsqueeze(1);
  };
  const at::Tensor not_y = 1 - y.part, not_x = 1 - x.part;
  return corner(y.low, x.low, not_y, not_x) + corner(y.low, x.high, not_y, x.part) +
         corner(y.high, x.low, y.part, not_x) + corner(y.high, x.high, y.part, x.part);
}

at::Tensor VisionTower::embed(const at::Tensor& values, std::span<const PatchGrid> images) const {
  at::Tensor x = patch_(values.to(patch_.weight.options()));
  if (config_.grid == 0) {
    if (!positions_.defined()) return x;
    std::vector<at::Tensor> positions;
    for (const PatchGrid& image : images) positions.push_back(interpolated_positions(image));
    return x + at::cat(positions);
  }
  const auto tiles = static_cast<std::int64_t>(images.size());
  x = x.view({tiles, -1, config_.hidden});
  if (class_token_.defined()) x = at::cat({class_token_.expand({tiles, 1, config_.hidden}), x}, 1);
  return input_norm_((x + positions_).flatten(0, 1));
}

/// Rows turn the first half of a head's frequencies, columns the second.
Angles VisionTower::angles_of_places(std::span<const PatchGrid> images) const {
  std::vector<float> rows, columns;
  for (const PatchGrid& image : images)
    for (const PatchPlace& place : places_of(image, config_.merge)) {
      rows.push_back(static_cast<float>(place.row));
      columns.push_back(static_cast<float>(place.column));
    }
  const auto turns = [&](const std::vector<float>& at) {
    return at::tensor(at, at::kFloat).to(inverse_frequencies_.device()).unsqueeze(1) * inverse_frequencies_;
  };
  const at::Tensor all = at::cat({turns(rows), turns(columns)}, 1);
  return {all.cos(), all.sin()};
}

at::Tensor VisionTower::window_order(std::span<const PatchGrid> images, Pass& pass) const {
  const auto windowed = std::ranges::find_if(config_.windows, [](std::int64_t side) { return side > 0; });
  if (windowed == config_.windows.end()) return {};
  const std::int64_t cell = config_.merge * config_.merge;
  std::vector<std::int64_t> order;
  std::int64_t before = 0;
  for (const PatchGrid& image : images) {
    const Windows windows = windows_of(image, config_.merge, *windowed);
    for (const std::int64_t at : windows.cells)
      for (std::int64_t i = 0; i < cell; ++i) order.push_back(before + at * cell + i);
    std::ranges::copy(windows.lengths, std::back_inserter(pass.windows));
    before += image.patches();
  }
  return indices(order, patch_.weight.device());
}

at::Tensor VisionTower::block(std::int64_t index, const at::Tensor& x, const Pass& pass) const {
  const Layer& layer = layers_[static_cast<std::size_t>(index)];
  const at::Tensor qkv = layer.qkv(layer.attention_in(x));
  const auto part = [&](std::int64_t which, const Norm& norm) {
    return norm(qkv.narrow(1, which * config_.hidden, config_.hidden)).unflatten(1, {config_.heads, config_.head_dim});
  };
  const at::Tensor q = part(0, layer.q_norm), k = part(1, layer.k_norm), v = part(2, {});
  if (pass.angles.cos.defined())
    for (const at::Tensor& turned : {q, k}) rotate(turned, pass.angles.cos, pass.angles.sin, RotaryLayout::halves);
  const auto& lengths = config_.windows[static_cast<std::size_t>(index)] > 0 ? pass.windows : pass.images;
  const double scale = 1 / std::sqrt(static_cast<double>(config_.head_dim));
  const auto scaled = [](const at::Tensor& y, const at::Tensor& by) { return by.defined() ? y * by : y; };
  const at::Tensor attended =
      x + scaled(layer.output(attend_texts(q, k, v, lengths, lengths, {scale})), layer.attention_scale);
  const at::Tensor inner = layer.up(layer.mlp_in(attended));
  const at::Tensor activated = config_.gated ? gated(inner, config_.activation) : activate(inner, config_.activation);
  return attended + scaled(layer.down(activated), layer.mlp_scale);
}

/// [tiles * (1 + patches), width] -> [tiles * patches, width]
at::Tensor VisionTower::without_class_tokens(const at::Tensor& x) const {
  if (!config_.has_class_token || config_.keeps_class_token) return x;
  return x.unflatten(0, {-1, config_.grid * config_.grid + 1}).slice(1, 1).flatten(0, 1);
}

/// [rows, width] -> [rows / merge^2, merged width]
at::Tensor VisionTower::merged(const at::Tensor& x) const {
  const std::int64_t m = config_.merge;
  if (m == 1) return x;
  if (config_.grid == 0) return x.reshape({-1, m * m * x.size(1)});
  const std::int64_t side = config_.grid / m;
  const at::Tensor cells = x.view({-1, side, m, side, m, x.size(1)}).permute({0, 1, 3, 2, 4, 5});
  return config_.averages ? cells.to(at::kFloat).mean({3, 4}).to(x.scalar_type()).flatten(0, 2)
                          : cells.flatten(3).flatten(0, 2);
}

at::Tensor VisionTower::project(const at::Tensor& x) const {
  const at::Tensor normed = config_.norms_patches ? merged(projector_.norm(x)) : projector_.norm(merged(x));
  if (!projector_.first.weight.defined()) return projector_.second(normed);
  return projector_.second(activate(projector_.first(normed), config_.projector_activation));
}

VisionTower::Features VisionTower::forward(const at::Tensor& values, std::span<const PatchGrid> images) const {
  Pass pass;
  for (const PatchGrid& image : images) pass.images.push_back(image.patches() + (config_.has_class_token ? 1 : 0));
  at::Tensor x = embed(values.to(patch_.weight.device()), images);
  if (config_.rotates) pass.angles = angles_of_places(images);
  const at::Tensor order = window_order(images, pass);
  const auto reorder = [](at::Tensor& rows, const at::Tensor& by) { rows = rows.index_select(0, by); };
  if (order.defined()) reorder(x, order), reorder(pass.angles.cos, order), reorder(pass.angles.sin, order);
  count(pass);
  const at::Tensor back = order.defined() ? at::argsort(order) : at::Tensor();
  Features features;
  std::vector<at::Tensor> taken(config_.taken.size());
  const std::int64_t needed =
      std::ranges::count(config_.taken, -1) > 0 ? config_.layers : std::ranges::max(config_.taken);
  const auto take = [&](std::int64_t state) {
    for (std::size_t i = 0; i < taken.size(); ++i)
      if (config_.taken[i] == state) taken[i] = without_class_tokens(state < 0 ? final_norm_(x) : x);
  };
  take(0);
  for (std::int64_t layer = 0; layer < needed; ++layer) {
    x = block(layer, x, pass);
    take(layer + 1);
    const auto deep = std::ranges::find(config_.deepstack, layer);
    if (deep == config_.deepstack.end()) continue;
    const Merger& merger = deepstack_[static_cast<std::size_t>(deep - config_.deepstack.begin())];
    features.deep.push_back(
        merger.second(activate(merger.first(merger.norm(merged(x))), config_.projector_activation)));
  }
  take(-1);
  at::Tensor states = taken.size() == 1 ? taken[0] : at::cat(taken, 1);
  if (back.defined()) states = states.index_select(0, back);
  features.rows = project(states);
  return features;
}

void VisionTower::count(const Pass& pass) const {
  double patches = 0, attended = 0;
  for (const std::int64_t length : pass.images) patches += static_cast<double>(length);
  for (const std::int64_t side : config_.windows)
    for (const std::int64_t length : side > 0 ? pass.windows : pass.images)
      attended += static_cast<double>(length) * static_cast<double>(length);
  const auto weights = static_cast<double>(config_.hidden) *
                       static_cast<double>(4 * config_.hidden + (config_.gated ? 3 : 2) * config_.intermediate);
  patches_ += static_cast<std::uint64_t>(patches);
  flops_ +=
      2 * patches * weights * static_cast<double>(config_.layers) + 4 * static_cast<double>(config_.hidden) * attended;
}

}  // namespace proctor
