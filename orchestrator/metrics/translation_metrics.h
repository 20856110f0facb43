// Corpus metrics of translation as sacrebleu 2.6.0 computes them with its defaults. A pair of a prediction and its
// references gives Counts; the sum of Counts over the documents gives the corpus's figure, whatever the order. Texts
// are UTF-8. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace proctor {

/// Additive statistics of one pair. Whole numbers, save TER's mean length over several references.
using Counts = std::vector<double>;

/// BLEU (Papineni et al., 2002): tokenizer 13a (mteval-v13a.pl), n-grams up to 4, case kept.
/// {words of the prediction, of the reference nearest in length, matches of order 1 to 4, n-grams of order 1 to 4}.
/// At least one reference.
Counts bleu_counts(const std::string& prediction, std::span<const std::string> references);
/// [0, 100]: brevity penalty times the geometric mean of the precisions; where an order has no match, the exponential
/// smoothing of mteval-v13a.pl (Chen and Cherry, 2014, method 3). 0 where nothing matches or an order has no n-grams.
double bleu_of(std::span<const double> counts);

/// chrF (Popovic, 2015): characters, white space left out, in n-grams of 1 to 6; chrF++ (Popovic, 2017), word_order 2:
/// and words in n-grams of 1 to 2. Of each order, characters first: {n-grams of the prediction (0 where the reference
/// has none), of the reference, matches}, against the reference with the best score. At least one reference.
Counts chrf_counts(const std::string& prediction, std::span<const std::string> references, int word_order);
/// [0, 100]: F with beta 2 of precision and recall, each a mean over the orders that both sides have.
double chrf_of(std::span<const double> counts, int word_order);

/// TER (Snover et al., 2006) over lower-cased words between white space. {edits to the reference that needs fewest,
/// insertions, deletions, substitutions and shifts at 1 each; mean words of the references}. At least one reference.
Counts ter_counts(const std::string& prediction, std::span<const std::string> references);
/// From 0 without an upper end: 100 times the edits per word of the reference. 100 where only the references are empty.
double ter_of(std::span<const double> counts);

}  // namespace proctor
