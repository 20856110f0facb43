// ROUGE (Lin, 2004) as Google's package rouge_score 0.1.2 computes it with its own tokenizer. Pure.
#pragma once

#include <string>

namespace proctor {

/// F-measures, [0, 1]; 0 where a side has no words.
struct RougeScores {
  double rouge1 = 0, rouge2 = 0;  ///< of runs of one and of two words
  double rougeL = 0;              ///< of the longest common subsequence of words
  double rougeLsum = 0;           ///< lines are sentences: of the union of each reference line's subsequences
};

enum class Stem { none, porter };

/// Texts are UTF-8. Words are runs of a-z and 0-9 in the lower-cased text; with Stem::porter those of more than three
/// characters are stemmed (porter_stem).
RougeScores rouge(const std::string& prediction, const std::string& reference, Stem stem);

}  // namespace proctor
