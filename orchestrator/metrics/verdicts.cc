#include "orchestrator/metrics/verdicts.h"

#include "orchestrator/cpython/python_text.h"

namespace proctor {
namespace {

/// 1: for the answer that stood first; -1: for the second; 0: for none.
int side(const std::string& text, const VerdictWords& words) {
  const std::string word = python::strip(text);
  if (word == words.first) return 1;
  return word == words.second ? -1 : 0;
}

}  // namespace

bool is_verdict(const std::string& metric) { return metric == "preference" || metric == "consistency"; }

double verdict(const std::string& metric, std::span<const std::string, 2> verdicts, const VerdictWords& words) {
  const int one = side(verdicts[0], words), other = -side(verdicts[1], words);
  if (metric == "consistency") return one == other ? 1 : 0;
  return one == other ? 0.5 + 0.5 * one : 0.5;
}

}  // namespace proctor
