// Short answers about pictures and documents, as DocVQA, ChartQA and OCRBench compare them. Lengths, cases and quirks
// are those of lmms-eval at 75571cf (docs/metrics.md); checked by tools/compare_vision_metrics. Texts are UTF-8; pure.
#pragma once

#include <string>

namespace proctor {

/// Average Normalized Levenshtein Similarity (Biten et al., 2019) of one answer: 1 - distance / the longer length, and
/// 0 below 0.5. Compared in lower case with single spaces; measured in upper case with all its spaces.
double anls(const std::string& prediction, const std::string& reference);

/// ChartQA's (Masry et al., 2022): numbers within 5 % of the reference, where a "%" at the end divides by 100. Where
/// one side is not a number, or the reference is 0: equal in lower case.
bool relaxed_accuracy(const std::string& prediction, const std::string& reference);

enum class Spaces { count, ignore };
/// OCRBench's: the reference stands in the prediction, in lower case, full-width characters as ASCII. Where spaces are
/// ignored (formulas), case and width count.
bool contains(const std::string& prediction, const std::string& reference, Spaces spaces);

}  // namespace proctor
