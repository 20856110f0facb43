// A module, and what holds while its shards are computed, as plain values: the part of a suite that workers are told
// too. docs/suite.md lists every key with its default.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sharding/protocol/image_options.h"

namespace proctor {

enum class DType { automatic, float32, bfloat16, float16 };
std::string to_string(DType dtype);
std::optional<DType> dtype_from(const std::string& name);

/// Whose code computes a module, where that is not proctor's own.
struct Engine {
  std::string name;                           ///< one of engine_names(); "": the user's own
  std::vector<std::string> command = {};      ///< that starts it; of a known engine filled in once its Python is found
  std::vector<std::string> environment = {};  ///< "NAME=value", beside what workers get
  bool operator==(const Engine&) const = default;
};
/// Those that python/proctor/engines has.
const std::vector<std::string>& engine_names();

/// One model under evaluation.
struct Module {
  std::string name;
  std::string kind = "generator";
  std::string path;                   ///< resolved folder; "": an engine that needs none
  std::optional<Engine> engine = {};  ///< absent: proctor's own
  DType dtype = DType::automatic;
  std::uint32_t tensor_parallel = 1;
  std::optional<std::int64_t> max_batch_tokens;  ///< tokens computed at once
  std::optional<std::int64_t> max_length;        ///< tokens
  std::optional<bool> add_bos_token;
  nlohmann::json options = nlohmann::json::object();  ///< what its kind alone understands
  std::optional<std::vector<std::string>> tasks;      ///< absent: every task its kind can answer
  ImageOptions image = {};
};

struct Cleanup {
  enum class Policy { never, on_oom, watermark, always, every };
  Policy policy = Policy::watermark;
  double watermark = 0.2;   ///< share of device memory left below which caches are emptied
  std::uint32_t every = 1;  ///< batches, for Policy::every
  std::uint64_t leak_tolerance_bytes = 16u << 20;
};

struct Deadlines {
  using Seconds = std::chrono::duration<double>;
  Seconds load{600}, progress{60}, teardown{30}, agent{15}, drain{60};
  Seconds guest_load{1800};  ///< a guest's, which may compile for long; `load` where a suite says that
};

}  // namespace proctor
