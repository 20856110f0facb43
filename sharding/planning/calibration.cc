#include "sharding/planning/calibration.h"

namespace proctor {
namespace {

constexpr double kFlopsPerSecondCpu = 4e10, kFlopsPerSecondGpu = 1e14;  // of one device, before anything is known
constexpr double kLoadBytesPerSecond = 1e9;

/// Old sums are made as large as the new ones, where they are larger.
void learn(Pace& known, const Pace& run) {
  if (run.seconds <= 0) return;
  const double keep = known.seconds > run.seconds ? run.seconds / known.seconds : 1;
  known = {known.amount * keep + run.amount, known.seconds * keep + run.seconds};
}

}  // namespace

void Calibration::learn(const Calibration& run) {
  for (const auto& [work, pace] : run.runs) proctor::learn(runs[work], pace);
  proctor::learn(load, run.load);
  proctor::learn(teardown, run.teardown);
  proctor::learn(start, run.start);
}

std::string work_name(const std::string& dtype, const std::string& request_type) { return dtype + " " + request_type; }

double Predictor::run_seconds(const std::string& work, double flops) const {
  const auto known = known_.runs.find(work);
  const double fallback = 1 / (kind_ == "cpu" ? kFlopsPerSecondCpu : kFlopsPerSecondGpu);
  return flops * (known == known_.runs.end() ? fallback : known->second.each(fallback));
}

double Predictor::load_seconds(double bytes) const { return bytes * known_.load.each(1 / kLoadBytesPerSecond); }

}  // namespace proctor
