// Who did what when, as text, as SVG, and as Chrome-trace JSON (Perfetto): of a plan or of a run.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sharding/protocol/ids.h"
#include "sharding/protocol/ledger.h"

namespace proctor {

struct TimelineSpan {
  enum class What { load, run, teardown, lost, shard };  ///< lost: of a visit that was aborted; shard: within a run
  SlotId device;
  double begin = 0, end = 0;  ///< seconds since the start
  What what = What::run;
  std::size_t module = 0;  ///< index into modules
  std::string note = {};   ///< for the trace
};

struct Timeline {
  std::string title;
  std::vector<std::string> modules;
  std::vector<SlotId> devices;
  std::vector<TimelineSpan> spans;
  double seconds = 0;
};

/// As the picture and the trace call it.
const char* name_of(TimelineSpan::What what);

/// Of a run, by its ledger.jsonl and turns.jsonl (docs/results.md).
Timeline run_timeline(const std::string& name, const std::vector<LedgerLine>& ledger,
                      const std::vector<nlohmann::ordered_json>& turns);

/// A line a device: a bar, and the seconds that it loaded, ran, tore down, lost and idled.
std::string timeline_text(const Timeline& timeline);
/// Devices downwards, time to the right; dark on white, with a legend.
std::string timeline_svg(const Timeline& timeline);
/// https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU (Trace Event Format): nodes are
/// processes, devices threads.
std::string timeline_trace(const Timeline& timeline);

}  // namespace proctor
