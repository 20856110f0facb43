// A timeline as a picture: devices downwards, time to the right.
#include <algorithm>
#include <cmath>
#include <map>

#include "orchestrator/base/formatted.h"
#include "orchestrator/report/timeline.h"

namespace proctor {
namespace {

using What = TimelineSpan::What;

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return out;
}

/// Told apart on white, also by those who see red and green alike: Okabe and Ito's, then darker ones.
std::string colour(std::size_t module) {
  static const char* const kColours[] = {"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00",
                                         "#8a6d00", "#5b4b9a", "#4d7c3a", "#a04b6e", "#2f6f73", "#9c5a2e"};
  return kColours[module % std::size(kColours)];
}

/// 1, 2 or 5 times a power of ten, about `span` / 8.
double tick_step(double span) {
  const double raw = std::max(span, 1e-3) / 8, power = std::pow(10, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0})
    if (raw <= factor * power) return factor * power;
  return 10 * power;
}

/// Grows from top to bottom: title, axis, a row a device, legend.
class Picture {
 public:
  explicit Picture(const Timeline& timeline) : timeline_(timeline) {
    for (std::size_t i = 0; i < timeline.devices.size(); ++i) row_of_[timeline.devices[i]] = i;
  }
  std::string draw() {
    const std::size_t lines = (named_ + 3 + kLegendColumns - 1) / kLegendColumns;
    svg_ = formatted(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" font-family=\"sans-serif\" "
        "font-size=\"12\" fill=\"#222\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
        kLeft + kWidth + 40, legend_ + 20 * static_cast<double>(lines) + 30);
    svg_ += "<text x=\"70\" y=\"24\" font-size=\"15\">" + escaped(timeline_.title) + "</text>\n";
    axis();
    labels();
    for (const TimelineSpan& one : timeline_.spans)
      if (one.what != What::shard && row_of_.contains(one.device)) bar(one);
    legend();
    return svg_ + "</svg>\n";
  }

 private:
  static constexpr double kLeft = 70, kWidth = 1000, kTop = 50;
  static constexpr std::size_t kLegendColumns = 4, kNamed = 40;  // modules in the legend, at most
  static constexpr const char *kLost = "#c00000", *kTeardown = "#222222";
  static constexpr double kPale = 0.35;

  double x(double seconds) const { return kLeft + kWidth * std::clamp(seconds, 0.0, span_) / span_; }

  void rectangle(double left, double top, double width, double tall, const std::string& fill, double opacity,
                 const std::string& title) {
    svg_ += formatted("<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\" fill-opacity=\"%.2f\">",
                      left, top, std::max(0.3, width), tall, fill.c_str(), opacity) +
            "<title>" + escaped(title) + "</title></rect>\n";
  }

  void axis() {
    const double step = tick_step(span_);
    for (double tick = 0; tick <= span_ * 1.0001; tick += step) {
      svg_ += formatted("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", x(tick), kTop,
                        x(tick), kTop + height_);
      svg_ += formatted("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g s</text>\n", x(tick),
                        kTop + height_ + 16, tick);
    }
  }

  /// As many as have room.
  void labels() {
    const auto every = static_cast<std::size_t>(std::ceil(14 / row_));
    for (std::size_t i = 0; i < timeline_.devices.size(); i += every)
      svg_ += formatted("<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", kLeft - 8,
                        kTop + row_ * (static_cast<double>(i) + 0.5) + 4, device_name(timeline_.devices[i]).c_str());
  }

  void bar(const TimelineSpan& one) {
    const double tall = row_ > 4 ? row_ - 3 : row_;
    const std::string fill = one.what == What::lost       ? kLost
                             : one.what == What::teardown ? kTeardown
                                                          : colour(one.module);
    const std::string title = timeline_.modules[one.module] + ": " + name_of(one.what) +
                              formatted(" %.2f s, from %.2f s", one.end - one.begin, one.begin);
    rectangle(x(one.begin), kTop + row_ * static_cast<double>(row_of_[one.device]) + (row_ - tall) / 2,
              x(one.end) - x(one.begin), tall, fill, one.what == What::load ? kPale : 1, title);
  }

  void legend() {
    explain("#666666", kPale, "pale: load");
    explain(kTeardown, 1, "teardown");
    explain(kLost, 1, "lost");
    const std::size_t modules = timeline_.modules.size();
    for (std::size_t m = 0; m < named_; ++m)
      explain(colour(m), 1,
              m + 1 == kNamed && modules > kNamed
                  ? "and " + std::to_string(modules - m) + " more, colours again from the first"
                  : timeline_.modules[m]);
  }
  void explain(const std::string& fill, double opacity, const std::string& text) {
    const double left = kLeft + kWidth / kLegendColumns * static_cast<double>(explained_ % kLegendColumns),
                 top = legend_ + 20 * static_cast<double>(explained_ / kLegendColumns);
    rectangle(left, top - 11, 14, 14, fill, opacity, text);
    svg_ += formatted("<text x=\"%.1f\" y=\"%.1f\">", left + 20, top) + escaped(text) + "</text>\n";
    ++explained_;
  }

  const Timeline& timeline_;
  std::map<SlotId, std::size_t> row_of_;
  const std::size_t rows_ = std::max<std::size_t>(1, timeline_.devices.size());
  const double row_ = std::clamp(2000.0 / static_cast<double>(rows_), 1.0, 22.0);  // the height of one
  const double height_ = row_ * static_cast<double>(rows_), legend_ = kTop + height_ + 50;
  const double span_ = std::max(timeline_.seconds, 1e-3);
  const std::size_t named_ = std::min(timeline_.modules.size(), kNamed);
  std::size_t explained_ = 0;  // entries of the legend
  std::string svg_;
};

}  // namespace

std::string timeline_svg(const Timeline& timeline) { return Picture(timeline).draw(); }

}  // namespace proctor
