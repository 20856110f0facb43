#include "orchestrator/metrics/yes_no.h"

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/code_points.h"
#include "orchestrator/metrics/ngrams.h"

namespace proctor {
namespace {

enum Count : std::size_t { kAll, kYes, kTrueYes, kMissedYes, kCounts };

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

std::string plain(const std::string& text) { return replaced(python::strip(python::lower(text)), ".", ""); }

/// "yes", "no", or neither: "".
std::string label_of(const std::string& prediction) {
  const std::u32string text = code_points(plain(prediction));
  if (text.size() == 1) return text == U"y" ? "yes" : text == U"n" ? "no" : "";
  const std::u32string begin = text.substr(0, 4);
  if (begin.find(U"yes") != std::u32string::npos) return "yes";
  return begin.find(U"no") != std::u32string::npos ? "no" : "";
}

}  // namespace

bool same_yes_no(const std::string& prediction, const std::string& truth) {
  const std::string label = label_of(prediction);
  return !label.empty() && label == plain(truth);
}

bool same_word(const std::string& prediction, const std::string& truth) {
  return python::strip(python::lower(prediction)) == python::strip(python::lower(truth));
}

std::vector<double> yes_no_counts(const std::string& prediction, const std::string& truth) {
  const std::string said = python::strip(python::lower(prediction)), is = python::strip(python::lower(truth));
  std::vector<double> counts(kCounts);
  counts[kAll] = 1;
  counts[kYes] = said == "yes";
  counts[kTrueYes] = said == "yes" && is == "yes";
  counts[kMissedYes] = said == "no" && is == "yes";
  return counts;
}

double yes_precision(std::span<const double> sums) { return ratio(sums[kTrueYes], sums[kYes]); }
double yes_recall(std::span<const double> sums) { return ratio(sums[kTrueYes], sums[kTrueYes] + sums[kMissedYes]); }
double yes_f1(std::span<const double> sums) {
  const double precision = yes_precision(sums), recall = yes_recall(sums);
  return ratio(2 * precision * recall, precision + recall);
}
double yes_ratio(std::span<const double> sums) { return ratio(sums[kYes], sums[kAll]); }

}  // namespace proctor
