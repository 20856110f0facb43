// Texts compared as SQuAD (Rajpurkar et al., 2018: the v2.0 script, which transformers has as squad_metrics) and HELM
// (Liang et al., 2022: evaluate_reference_metrics.py, at stanford-crfm/helm 039cb53) compare them; checked by
// tools/compare_answers. Texts are UTF-8; pure functions.
#pragma once

#include <string>

namespace proctor {

/// HELM's normalize_text, SQuAD's normalize_answer: lower case; without ASCII punctuation; "a", "an" and "the" as whole
/// words (re's \b: letters, digits and underscores of any script make a word, marks and dashes end one) to a space;
/// white space to single spaces.
std::string quasi_normalised(const std::string& text);

// HELM's. An empty prediction matches nothing, even an empty reference.

bool exact_match_stripped(const std::string& prediction, const std::string& reference);  ///< equal without outer space
bool quasi_exact_match(const std::string& prediction, const std::string& reference);     ///< equal when normalised
/// The prediction begins with the reference, both without outer space; an empty reference begins everything.
bool prefix_exact_match(const std::string& prediction, const std::string& reference);
bool quasi_prefix_exact_match(const std::string& prediction, const std::string& reference);  ///< the same, normalised

// SQuAD's, which know no such exception.

/// 1 if equal when normalised, else 0.
double squad_exact_match(const std::string& prediction, const std::string& reference);
/// F1 over the normalised texts' words, with their counts; without words on one side 1 if on both, else 0 (v2.0's; v1.1
/// has 0). [0, 1].
double token_f1(const std::string& prediction, const std::string& reference);

}  // namespace proctor
