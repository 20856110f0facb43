// VQA's accuracy (Goyal et al., 2017; TextVQA's too): answers brought into EvalAI's form, then counted among people's.
// Checked by tools/compare_vision_metrics. Texts are UTF-8; pure.
#pragma once

#include <span>
#include <string>

namespace proctor {

/// EvalAI's form: lower case; without punctuation and articles; number words as digits; contractions with their
/// apostrophes.
std::string vqa_normalised(const std::string& text);

/// The mean, over each answer left out in turn, of min(1, n / 3) where n of the others are the prediction. [0, 1]; 0
/// without answers.
double vqa_accuracy(const std::string& prediction, std::span<const std::string> answers);

}  // namespace proctor
