// Answers to mathematics problems: found in a text, brought into one form, compared. The rules are those of lm-eval
// 0.4.13 (tasks hendrycks_math and minerva_math), checked by tools/compare_answers. Texts are UTF-8; nothing here
// throws, and the work is linear in the texts' length except for the bounded products of math_equal.
#pragma once

#include <optional>
#include <string>

namespace proctor {

/// What the last \boxed{...} holds, its braces balanced; of a text without \boxed, the last \fbox{...}. A "\boxed X"
/// (with a space) anywhere goes first: the text behind the last one, up to a dollar sign. None: nothing boxed, no end
/// to its braces, or no brace behind it. hendrycks_math: remove_boxed(last_boxed_only_string(text)), which also stops
/// at an \fbox.
std::optional<std::string> boxed_answer(const std::string& text);

/// hendrycks_math: strip_string(text), without units, signs of degree and percent, spaces, a leading "x=", with all
/// braces of \frac and \sqrt. None where the Python raises ("\frac" at the end, "x/y", two units).
std::optional<std::string> hendrycks_normalised(const std::string& text);
/// hendrycks_math: is_equiv(a, b); where one has no normal form, whether the texts themselves are equal.
bool hendrycks_equal(const std::string& a, const std::string& b);

/// minerva_math: normalize_final_answer(answer) (Lewkowycz et al., 2022, appendix D, with lm-eval's corrections).
std::string minerva_normalised(const std::string& answer);
/// minerva_math: normalize_final_answer(get_unnormalized_answer(text)), of "Final Answer: The final answer is ... I
/// hope it is correct."; "[invalidanswer]" where the text has no such sentence.
std::string minerva_answer(const std::string& text);

/// Whether two texts give the same answer; symmetric. One of these holds:
/// - hendrycks_equal of the boxed answers (of the whole text where nothing is boxed);
/// - the minerva forms are equal and not empty: minerva_answer, or minerva_normalised of the boxed answer (of the text)
///   where the sentence is missing;
/// - both are numbers of the same exact value (exact_number.h), read from the boxed answer (the text) or else from the
///   minerva form: 0.1 and \frac{1}{10}, 1,000 and 1e3, 50\% and 50.0%.
/// proctor's own, wider than each of lm-eval's two; only the first two can be checked against a package. To
/// hendrycks_math 50\% is 50; the third rule alone would keep them apart, as it does 50% and 50.
bool math_equal(const std::string& prediction, const std::string& reference);

}  // namespace proctor
