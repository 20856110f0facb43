#include "orchestrator/report/timeline.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>

#include "orchestrator/base/formatted.h"
#include "sharding/protocol/whole_json.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

using What = TimelineSpan::What;

constexpr std::size_t kBar = 60;  // characters
constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz";

char letter(const TimelineSpan& span) {
  switch (span.what) {
    case What::load:
      return '-';
    case What::teardown:
      return '|';
    case What::lost:
      return '!';
    default:
      return kLetters[span.module % (sizeof kLetters - 1)];
  }
}

struct Seconds {
  double load = 0, run = 0, teardown = 0, lost = 0;
  void add(const TimelineSpan& span) {
    const double seconds = span.end - span.begin;
    if (span.what == What::load) load += seconds;
    if (span.what == What::run) run += seconds;
    if (span.what == What::teardown) teardown += seconds;
    if (span.what == What::lost) lost += seconds;
  }
  double all() const { return load + run + teardown + lost; }
};

}  // namespace

const char* name_of(What what) {
  switch (what) {
    case What::load:
      return "load";
    case What::run:
      return "run";
    case What::teardown:
      return "teardown";
    case What::lost:
      return "lost";
    case What::shard:
      break;
  }
  return "shard";
}

namespace {

/// Seconds as a file has them, which anybody may have written: within a century.
double a_time(double seconds) { return seconds > 0 ? std::min(seconds, 3e9) : 0; }

}  // namespace

Timeline run_timeline(const std::string& name, const std::vector<LedgerLine>& ledger,
                      const std::vector<nlohmann::ordered_json>& turns) {
  Timeline timeline;
  std::map<std::string, std::size_t> modules;
  std::map<std::uint32_t, std::vector<SlotId>> members;  // of each visit
  std::set<SlotId> devices;
  for (const LedgerLine& line : ledger) {
    const std::size_t index = modules.emplace(line.module, modules.size()).first->second;
    if (index == timeline.modules.size()) timeline.modules.push_back(line.module);
    const SlotId device = line.worker;
    devices.insert(device);
    members[line.visit.value].push_back(device);
    const double opened = a_time(line.opened_s), closed = a_time(line.closed_s);
    const double loaded = std::min(closed, opened + a_time(line.row.load_s));
    const double lost = std::max(loaded, closed - a_time(line.lost_s.value_or(0)));
    const double down = std::max(loaded, std::min(lost, closed - a_time(line.row.teardown_s)));
    const auto add = [&](double begin, double end, What what) {
      if (end > begin) timeline.spans.push_back({device, begin, end, what, index});
    };
    add(opened, loaded, What::load);
    add(loaded, down, What::run);
    if (line.lost_s)
      add(lost, closed, What::lost);
    else
      add(down, closed, What::teardown);
    timeline.seconds = std::max(timeline.seconds, closed);
  }
  for (const auto& turn : turns) {
    const auto module = modules.find(turn.value("module", "?"));
    if (module == modules.end()) continue;
    const double begin = a_time(turn.value("begin_s", 0.0));
    for (SlotId device : members[whole_at(turn, "visit", 0u)])
      timeline.spans.push_back({device, begin, begin + a_time(turn.value("run_s", 0.0)), What::shard, module->second,
                                turn.value("task", "?") + ", shard " + std::to_string(whole_at(turn, "shard", 0u))});
  }
  timeline.devices.assign(devices.begin(), devices.end());
  timeline.title = name + ": " + duration_text(timeline.seconds);
  return timeline;
}

std::string timeline_text(const Timeline& timeline) {
  std::map<SlotId, std::string> bars;
  std::map<SlotId, Seconds> seconds;
  for (SlotId device : timeline.devices) bars[device] = std::string(kBar, '.');
  for (const TimelineSpan& span : timeline.spans) {
    if (span.what == What::shard) continue;
    seconds[span.device].add(span);
    std::string& bar = bars[span.device];
    bar.resize(kBar, '.');
    const auto place = [&](double at) {
      return std::min(kBar,
                      static_cast<std::size_t>(kBar * std::max(0.0, at) / std::max(timeline.seconds, 1e-9) + 0.5));
    };
    for (std::size_t i = place(span.begin); i < place(span.end); ++i) bar[i] = letter(span);
  }
  std::string text = timeline.title + "\n" +
                     formatted("%-9s 0 s %*s %s\n", "device", static_cast<int>(kBar - 4),
                               duration_text(timeline.seconds).c_str(), "   load      run teardown     lost     idle");
  for (const auto& [device, bar] : bars) {
    const Seconds& s = seconds[device];
    text += formatted("%-9s %s %8.2f %8.2f %8.3f %8.2f %8.2f\n", device_name(device).c_str(), bar.c_str(), s.load,
                      s.run, s.teardown, s.lost, std::max(0.0, timeline.seconds - s.all()));
  }
  text += "- load, | teardown, ! lost, . idle";
  for (std::size_t m = 0; m < timeline.modules.size(); ++m)
    text += std::string(", ") + kLetters[m % (sizeof kLetters - 1)] + " " + timeline.modules[m];
  return text + "\n";
}

std::string timeline_trace(const Timeline& timeline) {
  nlohmann::ordered_json events = nlohmann::ordered_json::array();
  for (SlotId device : timeline.devices)
    events.push_back({{"name", "thread_name"},
                      {"ph", "M"},
                      {"pid", device.agent.value},
                      {"tid", device.slot},
                      {"args", {{"name", "device " + device_name(device)}}}});
  for (const TimelineSpan& span : timeline.spans)
    events.push_back(
        {{"name",
          span.what == What::shard ? span.note : std::string(name_of(span.what)) + " " + timeline.modules[span.module]},
         {"cat", name_of(span.what)},
         {"ph", "X"},
         {"pid", span.device.agent.value},
         {"tid", span.device.slot},
         {"ts", std::llround(1e6 * span.begin)},
         {"dur", std::llround(1e6 * (span.end - span.begin))},
         {"args", {{"module", timeline.modules[span.module]}}}});
  return nlohmann::ordered_json{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}}.dump() + "\n";
}

}  // namespace proctor
