// What a judge says of two answers, asked twice: the second time with the answers in the other order. Pure.
#pragma once

#include <span>
#include <string>

namespace proctor {

/// The judge's words for the answer that stands first, and for the second; any other is for none.
struct VerdictWords {
  std::string first = "A", second = "B";
};

/// preference, consistency.
bool is_verdict(const std::string& metric);
/// preference: 1 where both verdicts are for the first module's answer, 0 where both are for the second's, else 0.5, a
/// tie (Zheng et al., Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena, 2023, section 3.4). consistency: 1 where
/// both are for the same answer or for none, else 0. Outer white space of a verdict does not count.
double verdict(const std::string& metric, std::span<const std::string, 2> verdicts, const VerdictWords& words);

}  // namespace proctor
