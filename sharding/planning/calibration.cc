#include "sharding/planning/calibration.h"

#include <algorithm>
#include <cmath>

namespace proctor {
namespace {

constexpr double kFlopsPerSecondCpu = 4e10, kFlopsPerSecondGpu = 1e14;  // of one device, before anything is known
// Seconds beside the matrix products, as a share of what those products take in float32: what is no product takes as
// long in every dtype. Of SmolLM2-135M in the demo on an AMX machine (docs/performance.md).
constexpr double kBesideScoring = 0.25, kBesideGeneration = 1;
constexpr double kLoadBytesPerSecond = 1e9;
constexpr double kRunTrust = 1, kLoadTrust = 0.2;  // seconds of measuring that those guesses count as
constexpr double kKept = 60;                       // seconds of what was known that a short run leaves

/// Old sums are made as large as the new ones, where they are larger.
void learn(Pace& known, const Pace& run) {
  if (run.seconds <= 0) return;
  const double most = std::max(run.seconds, kKept);
  const double keep = known.seconds > most ? most / known.seconds : 1;
  known = {known.amount * keep + run.amount, known.seconds * keep + run.seconds};
}

void learn(Calibration::BySize& known, const Calibration::BySize& run) {
  for (const auto& [size, pace] : run) learn(known[size], pace);
}

/// Of this size, else of the next larger or smaller class; nothing of others.
Pace near(const Calibration::BySize& known, int size) {
  for (const int like : {size, size + 1, size - 1})
    if (const auto found = known.find(like); found != known.end()) return found->second;
  return {};
}

}  // namespace

int size_class(double amount) { return static_cast<int>(std::log10(std::max(1.0, amount))); }

void Calibration::learn(const Calibration& run) {
  for (const auto& [work, paces] : run.runs) proctor::learn(runs[work], paces);
  proctor::learn(load, run.load);
  proctor::learn(teardown, run.teardown);
  proctor::learn(start, run.start);
}

std::string work_name(const std::string& dtype, const std::string& request_type, const std::string& engine) {
  return dtype + (engine.empty() ? "" : " (" + engine + ")") + " " + request_type;
}

double Predictor::run_seconds(const std::string& work, double parameters, double flops) const {
  const auto known = known_.runs.find(work);
  const Pace pace = known == known_.runs.end() ? Pace{} : near(known->second, size_class(parameters));
  return flops * pace.each(1 / guessed_flops(work), kRunTrust);
}

double Predictor::guessed_flops(const std::string& work) const {
  const double products = work.starts_with("float32") ? speed_.float32 : speed_.half;
  if (products <= 0) return kind_ == "cpu" ? kFlopsPerSecondCpu : kFlopsPerSecondGpu;
  const double beside = work.ends_with("generate_until") ? kBesideGeneration : kBesideScoring;
  return 1 / (1 / products + (speed_.float32 > 0 ? beside / speed_.float32 : 0));
}

double Predictor::load_seconds(double bytes) const {
  return bytes * near(known_.load, size_class(bytes)).each(1 / kLoadBytesPerSecond, kLoadTrust);
}

}  // namespace proctor
