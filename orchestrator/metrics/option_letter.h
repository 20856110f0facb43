// The letter of an option out of a model's free text, by the rules of MMMU, MMBench and MMStar as lmms-eval has them at
// 75571cf; a letter drawn at random where none is found is "" here. Checked by tools/compare_vision_metrics. Texts are
// UTF-8; pure.
#pragma once

#include <string>
#include <vector>

namespace proctor {

struct Option {
  char letter = 'A';
  std::string text = {};  ///< "" where only the letter is known
};
using Options = std::vector<Option>;

/// Ten formats by priority: the whole text begins with the letter, ends with it, has it behind "the answer is" and its
/// like, as (A), A., A:, A), before a space, anywhere. Of the best format the last.
std::string letter_by_format(const std::string& text, const Options& options);

/// MMMU's: (A), else "A ", else "A.", else the text of an option, where the answer has over five words; the last wins.
std::string letter_or_text(const std::string& text, const Options& options);

/// MMBench's without a judge: the one letter of A to E that stands alone or in one of twelve pairs of marks; else the
/// one option whose text is in the answer; else letter_by_format.
std::string single_letter_or_text(const std::string& text, const Options& options);

/// A capital letter and a full stop at the start, or else the text itself.
std::string leading_letter(const std::string& text);

}  // namespace proctor
