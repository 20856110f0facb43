#include "orchestrator/report/progress.h"

#include <unistd.h>

#include <cstdio>
#include <ostream>

#include "sharding/protocol/wording.h"

namespace proctor {

ProgressView::ProgressView(ProgressStyle style, std::ostream& out)
    : out_(out),
      terminal_(style == ProgressStyle::automatic && ::isatty(STDERR_FILENO)),
      silent_(style == ProgressStyle::none) {}

void ProgressView::say(const std::string& message) {
  if (terminal_ && drawn_) out_ << "\x1b[" << drawn_ << "A\x1b[J";
  drawn_ = 0;
  last_.clear();
  out_ << message << "\n" << std::flush;
}

void ProgressView::show(const std::vector<ProgressLine>& lines, std::size_t busy, std::size_t workers,
                        double tokens_per_second, std::chrono::duration<double> now, bool force) {
  const double pause = terminal_ ? 0.2 : 5;
  if (silent_ || (!force && (now - last_time_).count() < pause)) return;
  std::string text;
  std::size_t count = 0;
  for (const ProgressLine& line : lines) {
    if (!terminal_ && (line.done == 0 || (line.done == line.total && !force))) continue;
    char buffer[64];
    std::snprintf(buffer, sizeof buffer, "  %6zu / %-6zu %3.0f %%", line.done, line.total,
                  line.total ? 100.0 * static_cast<double>(line.done) / static_cast<double>(line.total) : 100.0);
    text += "  " + line.name + std::string(line.name.size() < 44 ? 44 - line.name.size() : 0, ' ') + buffer;
    if (line.done < line.total && line.seconds_left > 0) text += "  " + duration_text(line.seconds_left) + " left";
    text += "\n";
    ++count;
  }
  char tail[96];
  std::snprintf(tail, sizeof tail, "  %zu of %zu workers busy, %.0f tokens/s\n", busy, workers, tokens_per_second);
  text += tail;
  if (text == last_) return;
  if (terminal_ && drawn_) out_ << "\x1b[" << drawn_ << "A\x1b[J";
  out_ << text << std::flush;
  drawn_ = count + 1;
  last_ = std::move(text);
  last_time_ = now;
}

}  // namespace proctor
