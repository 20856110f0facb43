// What runs have shown of a kind of device: it orders the handing out and predicts; it never cuts shards, nor changes a
// byte of an answer. Pure.
#pragma once

#include <map>
#include <string>

namespace proctor {

/// So much done in so many seconds.
struct Pace {
  double amount = 0, seconds = 0;
  void add(double more, double in_seconds) {
    amount += more;
    seconds += in_seconds;
  }
  /// Seconds of one, where `guess` counts as much as `trust` seconds of measuring: a run of an instant, most of which
  /// is beginning and end, says little.
  double each(double guess, double trust) const { return (seconds + trust) / (amount + trust / guess); }
};

/// Models of like size have like paces; a tiny one, whose time goes into calls, says nothing of a large one: 8 for 100
/// to 999 million (parameters, or bytes).
int size_class(double amount);

struct Calibration {
  using BySize = std::map<int, Pace>;
  std::map<std::string, BySize> runs;  ///< by work_name() and parameters: planned FLOPs (sharding/planning/cost.h),
                                       ///< seconds of one device
  BySize load;                         ///< bytes of weight files of one device
  Pace teardown, start;                ///< times
  /// What is new counts as much as all that was known, of which a minute is kept at least.
  void learn(const Calibration& run);
};

/// "float32 loglikelihood", "float32 (vllm) loglikelihood": work of one pace. `engine`: "" of proctor's own.
std::string work_name(const std::string& dtype, const std::string& request_type, const std::string& engine = {});

/// Floating-point operations a second in matrix products of one device, as they were measured; 0: not.
struct DeviceSpeed {
  double float32 = 0, half = 0;
};

/// Predictions for a device of this kind ("cpu" or a GPU's name), from what is known, from what it does in matrix
/// products, or from what such devices do.
class Predictor {
 public:
  Predictor(std::string device_kind, Calibration known, DeviceSpeed speed = {})
      : kind_(std::move(device_kind)), known_(std::move(known)), speed_(speed) {}
  /// Seconds of so many planned FLOPs on one device, of a model of so many parameters.
  double run_seconds(const std::string& work, double parameters, double flops) const;
  /// Of a module's weights, `bytes` of them for each device.
  double load_seconds(double bytes) const;
  double teardown_seconds() const { return known_.teardown.each(0.1, 0.1); }
  double start_seconds() const { return known_.start.each(kind_ == "cpu" ? 0.5 : 3, 0.1); }
  const Calibration& known() const { return known_; }

 private:
  /// Planned FLOPs a second where no run has shown them.
  double guessed_flops(const std::string& work) const;
  std::string kind_;
  Calibration known_;
  DeviceSpeed speed_;
};

}  // namespace proctor
