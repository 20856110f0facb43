#include "orchestrator/metrics/beam_edit_distance.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr int kOutside = 1 << 29;  // more than any distance
constexpr double kBeam = 25;       // tercom's

}  // namespace

int BeamEditDistance::Row::at(std::size_t column) const {
  return column < first || column - first >= costs.size() ? kOutside : costs[column - first];
}

BeamEditDistance::BeamEditDistance(std::u32string_view reference, std::size_t hypothesis_length)
    : reference_(reference), rows_(hypothesis_length + 1) {
  if (hypothesis_length > 0) slope_ = static_cast<double>(reference.size()) / static_cast<double>(hypothesis_length);
  // Rows overlap even where the reference is far longer.
  beam_ = static_cast<std::ptrdiff_t>(kBeam < slope_ / 2 ? std::ceil(slope_ / 2 + kBeam) : kBeam);
  rows_[0].costs.resize(reference.size() + 1);
  std::iota(rows_[0].costs.begin(), rows_[0].costs.end(), 0);
}

int BeamEditDistance::operator()(std::u32string_view hypothesis) {
  PROCTOR_CHECK(hypothesis.size() + 1 == rows_.size(), "a hypothesis of another length");
  const auto differs = std::ranges::mismatch(hypothesis, last_).in1;
  const auto known = static_cast<std::size_t>(differs - hypothesis.begin());
  last_ = hypothesis;
  for (std::size_t row = known + 1; row < rows_.size(); ++row) fill(row);
  return rows_.back().at(reference_.size());
}

void BeamEditDistance::fill(std::size_t row) {
  const auto diagonal = static_cast<std::ptrdiff_t>(std::floor(static_cast<double>(row) * slope_));
  const auto columns = static_cast<std::ptrdiff_t>(reference_.size()) + 1;
  const auto first = static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, diagonal - beam_));
  const auto end =
      static_cast<std::size_t>(row + 1 == rows_.size() ? columns : std::min<std::ptrdiff_t>(columns, diagonal + beam_));
  const Row& above = rows_[row - 1];
  Row& here = rows_[row];
  here.first = first;
  here.costs.clear();
  for (std::size_t column = first; column < end; ++column) {
    int cost = std::min(kOutside, above.at(column) + 1);
    if (column > first) cost = std::min(cost, here.costs.back() + 1);
    if (column > 0) cost = std::min(cost, above.at(column - 1) + (last_[row - 1] != reference_[column - 1]));
    here.costs.push_back(cost);
  }
}

/// Back from the end. Of equal costs a match or substitution goes first, then a deletion, then an insertion.
Alignment BeamEditDistance::align(std::u32string_view hypothesis) {
  (*this)(hypothesis);
  Alignment out{std::vector<std::ptrdiff_t>(reference_.size()), std::vector<bool>(reference_.size()),
                std::vector<bool>(hypothesis.size())};
  std::size_t row = hypothesis.size(), column = reference_.size();
  while (row > 0 || column > 0) {
    const int cost = rows_[row].at(column);
    const bool differ = row > 0 && column > 0 && hypothesis[row - 1] != reference_[column - 1];
    if (row > 0 && column > 0 && rows_[row - 1].at(column - 1) + differ == cost) {
      out.of_reference[--column] = static_cast<std::ptrdiff_t>(--row);
      out.reference_errors[column] = out.hypothesis_errors[row] = differ;
    } else if (row > 0 && rows_[row - 1].at(column) + 1 == cost) {
      out.hypothesis_errors[--row] = true;
    } else {
      PROCTOR_CHECK(column > 0, "an edit from outside the beam");
      out.of_reference[--column] = static_cast<std::ptrdiff_t>(row) - 1;
      out.reference_errors[column] = true;
    }
  }
  return out;
}

}  // namespace proctor
