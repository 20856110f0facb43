// What a person sees while a run goes on: a line per (module, task) with done/total, rate, time left, workers busy.
// Lines that rewrite themselves on a terminal, plain ones elsewhere.
#pragma once

#include <chrono>
#include <iosfwd>
#include <string>
#include <vector>

namespace proctor {

enum class ProgressStyle { automatic, plain, none };

struct ProgressLine {
  std::string name;
  std::size_t done = 0, total = 0;
  double seconds_left = 0;  ///< estimate; 0: not known
};

class ProgressView {
 public:
  ProgressView(ProgressStyle style, std::ostream& out);
  /// Draws if something changed and enough time has passed since the last drawing, or if `force`.
  void show(const std::vector<ProgressLine>& lines, std::size_t busy, std::size_t workers, double tokens_per_second,
            std::chrono::duration<double> now, bool force);
  /// A message between the lines.
  void say(const std::string& message);

 private:
  std::ostream& out_;
  bool terminal_, silent_;
  std::size_t drawn_ = 0;
  std::string last_;
  std::chrono::duration<double> last_time_{-1e9};
};

}  // namespace proctor
