// TER with sacrebleu's defaults. A shift moves a run of words to where the reference has the same run; the best one is
// taken as long as one lowers the distance. Which are tried, and which is best, is tercom's heuristic as sacrebleu has
// it (lib_ter.py).
#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/beam_edit_distance.h"
#include "orchestrator/metrics/ngrams.h"
#include "orchestrator/metrics/translation_metrics.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr std::size_t kMaxRun = 10;    // words that one shift moves (tercom)
constexpr std::size_t kMaxReach = 50;  // between the run's places in hypothesis and reference (tercom)
constexpr int kMaxTried = 1000;        // shifts of one hypothesis (sacrebleu)
using Place = std::ptrdiff_t;

struct Run {
  std::size_t at, reference_at, length;  // words
};

struct Shift {
  int gain = 0;  // of distance
  Run run{};
  std::size_t target = 0;

  /// Most gain first, then the longest run, then the earliest, then the earliest target.
  bool operator<(const Shift& other) const {
    return std::tuple(gain, run.length, other.run.at, other.target) <
           std::tuple(other.gain, other.run.length, run.at, target);
  }
};

/// A target within the run, or right behind it, means that many words further.
std::u32string shifted(std::u32string words, const Run& run, std::size_t target) {
  const auto place = [&](std::size_t i) { return words.begin() + static_cast<Place>(i); };
  const std::size_t end = run.at + run.length;
  if (target < run.at)
    std::rotate(place(target), place(run.at), place(end));
  else
    std::rotate(place(run.at), place(end), place(target > end ? target : std::min(target + run.length, words.size())));
  return words;
}

/// Every run of up to kMaxRun words that both have, not too far apart; `on_run` answers whether to go on.
template <class OnRun>
void each_common_run(std::u32string_view words, std::u32string_view reference, OnRun&& on_run) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::size_t end = std::min(reference.size(), i + kMaxReach + 1);
    for (std::size_t j = i > kMaxReach ? i - kMaxReach : 0; j < end; ++j) {
      const std::size_t longest = std::min({kMaxRun, words.size() - i, reference.size() - j});
      for (std::size_t length = 1; length <= longest && words[i + length - 1] == reference[j + length - 1]; ++length)
        if (!on_run(Run{i, j, length})) return;
    }
  }
}

bool any(const std::vector<bool>& flags, std::size_t begin, std::size_t length) {
  const auto first = flags.begin() + static_cast<Place>(begin);
  return std::find(first, first + static_cast<Place>(length), true) != first + static_cast<Place>(length);
}

/// Whether it may help: both places are wrong, and the run is not moved into itself.
bool is_worth_trying(const Run& run, const Alignment& alignment) {
  if (!any(alignment.hypothesis_errors, run.at, run.length)) return false;
  if (!any(alignment.reference_errors, run.reference_at, run.length)) return false;
  const Place beside = alignment.of_reference[run.reference_at], at = static_cast<Place>(run.at);
  return beside < at || beside >= at + static_cast<Place>(run.length);
}

/// One hypothesis against one reference, neither without words.
class ShiftSearch {
 public:
  ShiftSearch(std::u32string words, std::u32string_view reference)
      : words_(std::move(words)), reference_(reference), distance_(reference, words_.size()) {}

  /// With what the shifts cost, 1 each. A round in which the tries ran out does not count.
  int edits() {
    int shifts = 0;
    for (auto best = best_shift(); best && best->gain > 0 && tried_ < kMaxTried; best = best_shift(), ++shifts)
      words_ = shifted(words_, best->run, best->target);
    return shifts + distance_(words_);
  }

 private:
  std::optional<Shift> best_shift() {
    const int before = distance_(words_);
    const Alignment alignment = distance_.align(words_);
    std::optional<Shift> best;
    each_common_run(words_, reference_, [&](const Run& run) {
      if (!is_worth_trying(run, alignment)) return true;
      std::optional<std::size_t> last;
      // Behind each hypothesis word beside the reference's run, or the word before it.
      for (std::size_t i = run.reference_at; i <= run.reference_at + run.length; ++i) {
        const std::size_t target = i == 0 ? 0 : static_cast<std::size_t>(alignment.of_reference[i - 1] + 1);
        if (target == last) continue;
        last = target;
        const Shift shift{before - distance_(shifted(words_, run, target)), run, target};
        ++tried_;
        if (!best || *best < shift) best = shift;
      }
      return tried_ < kMaxTried;
    });
    return best;
  }

  std::u32string words_, reference_;
  BeamEditDistance distance_;
  int tried_ = 0;
};

}  // namespace

Counts ter_counts(const std::string& prediction, std::span<const std::string> references) {
  PROCTOR_CHECK(!references.empty(), "TER without a reference");
  WordNumbers numbers;
  const std::u32string words = numbers(python::split(python::lower(prediction)));
  double fewest = std::numeric_limits<double>::infinity(), length = 0;
  for (const std::string& reference : references) {
    const std::u32string expected = numbers(python::split(python::lower(reference)));
    const double edits = expected.empty() || words.empty()
                             ? static_cast<double>(std::max(words.size(), expected.size()))
                             : ShiftSearch(words, expected).edits();
    fewest = std::min(fewest, edits);
    length += static_cast<double>(expected.size());
  }
  return {fewest, length / static_cast<double>(references.size())};
}

double ter_of(std::span<const double> counts) {
  PROCTOR_CHECK(counts.size() == 2, "no counts of TER");
  if (counts[1] > 0) return 100 * (counts[0] / counts[1]);
  return counts[0] > 0 ? 100 : 0;
}

}  // namespace proctor
