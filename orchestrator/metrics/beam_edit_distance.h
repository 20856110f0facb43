// Edit distance of TER between two sequences of words, near the diagonal of the table only, as in sacrebleu 2.6.0
// (lib_ter.py) and tercom: the beam and the order of preference between equal edits decide figures of TER.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace proctor {

/// How a hypothesis lies beside its reference.
struct Alignment {
  /// Of each word of the reference its hypothesis word; of a missing word, the one before the gap, -1 at the beginning.
  std::vector<std::ptrdiff_t> of_reference;
  /// Of each word whether it takes part in an edit.
  std::vector<bool> reference_errors, hypothesis_errors;
};

/// Distances from hypotheses of one length, in words, to one reference. Words are numbers (WordNumbers). Rows of the
/// table are kept from call to call, for the words with which the next hypothesis begins alike.
class BeamEditDistance {
 public:
  BeamEditDistance(std::u32string_view reference, std::size_t hypothesis_length);
  /// Insertions, deletions and substitutions, each 1.
  int operator()(std::u32string_view hypothesis);
  Alignment align(std::u32string_view hypothesis);

 private:
  /// Costs at columns from `first` on; all others are out of the beam.
  struct Row {
    std::size_t first = 0;
    std::vector<int> costs;
    int at(std::size_t column) const;
  };
  void fill(std::size_t row);

  std::u32string reference_, last_;
  double slope_ = 1;  ///< columns a row
  std::ptrdiff_t beam_ = 0;
  std::vector<Row> rows_;  ///< row i: the first i words of last_
};

}  // namespace proctor
