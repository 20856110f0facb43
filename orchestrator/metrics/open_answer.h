// MMMU's open questions (Yue et al., 2024): what an answer's sentences come to, compared with the accepted answer.
// Checked by tools/compare_vision_metrics. Texts are UTF-8; pure.
#pragma once

#include <string>

namespace proctor {

/// Of each line what follows "is ", "answer " and the like (the shortest), and the numbers in it; where no line has one
/// of these, the whole text. The reference is a number (then one of them is equal to two decimals) or stands in one of
/// them, in lower case.
bool open_answer(const std::string& prediction, const std::string& reference);

}  // namespace proctor
