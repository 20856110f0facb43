// What the user asks for, as plain values: the result of reading YAML (orchestrator/suite_file), the input of
// everything. INTERFACE: docs/suite.md lists every key with its default.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace proctor {

enum class DType { automatic, float32, bfloat16, float16 };
std::string to_string(DType dtype);
std::optional<DType> dtype_from(const std::string& name);

/// One model under evaluation.
struct Module {
  std::string name;
  std::string kind = "generator";
  std::string path;  ///< resolved folder
  DType dtype = DType::automatic;
  std::uint32_t tensor_parallel = 1;
  std::optional<std::int64_t> max_batch_tokens;  ///< tokens computed at once
  std::optional<std::int64_t> max_length;        ///< tokens
  std::optional<bool> add_bos_token;
  nlohmann::json options = nlohmann::json::object();  ///< what its kind alone understands
  std::optional<std::vector<std::string>> tasks;      ///< absent: every task its kind can answer
};
void to_json(nlohmann::json& json, const Module& module);
void from_json(const nlohmann::json& json, Module& module);

struct FewShot {
  enum class Sampler { random, first_n };
  std::int64_t count = 0;
  std::string split = "test";
  Sampler sampler = Sampler::random;
  std::string delimiter = "\n\n";
  std::uint64_t seed = 1234;
};

struct Metric {
  std::string name;
  nlohmann::json options = nlohmann::json::object();
};

struct FilterStep {
  std::string function;
  nlohmann::json options = nlohmann::json::object();
};
struct FilterPipeline {
  std::string name = "none";
  std::vector<FilterStep> steps;
};

struct Generation {
  std::optional<std::vector<std::string>> until;  ///< absent: the few-shot delimiter, as lm-eval
  std::int64_t max_gen_toks = 256;
  double temperature = 0;  ///< 0: greedy
  double top_p = 1;
  std::int64_t top_k = 0;                    ///< 0: all
  std::optional<double> repetition_penalty;  ///< absent: the model's generation_config.json
  std::int64_t repeats = 1;                  ///< texts drawn of each document
};

/// A template, or a list of them (choices: a fixed list of answers).
using TemplateList = std::variant<std::string, std::vector<std::string>>;

struct Task {
  std::string name;
  std::string type;
  std::string file;                         ///< the YAML it came from, for messages
  std::map<std::string, std::string> data;  ///< split -> resolved JSON Lines file
  std::string description;
  std::string prompt;
  std::optional<TemplateList> choices;
  std::vector<std::string> contexts;   ///< multiple choice where the choices are in the context; compress: the passages
  std::string answer;                  ///< multiple_choice: template of the gold answer
  std::optional<TemplateList> target;  ///< loglikelihood, generate_until, contexts
  std::string text;                    ///< loglikelihood_rolling
  std::string query, document;         ///< retrieval
  std::string left, right, score;      ///< similarity
  std::string question;                ///< compress
  std::int64_t target_tokens = 300;    ///< compress
  std::string target_delimiter = " ";
  FewShot fewshot;
  std::vector<Metric> metrics;
  std::vector<FilterPipeline> filters;
  Generation generation;
  std::string group;
  bool fail_on_long = false;  ///< on_long: fail
};

struct Machine {
  std::optional<std::uint32_t> workers;  ///< per rank; absent: auto
  std::uint32_t cpu_threads = 1;
};

struct Cleanup {
  enum class Policy { never, on_oom, watermark, always, every };
  Policy policy = Policy::watermark;
  double watermark = 0.2;   ///< share of device memory left below which caches are emptied
  std::uint32_t every = 1;  ///< batches, for Policy::every
  std::uint64_t leak_tolerance_bytes = 16u << 20;
};
void to_json(nlohmann::json& json, const Cleanup& cleanup);
void from_json(const nlohmann::json& json, Cleanup& cleanup);

struct Deadlines {
  using Seconds = std::chrono::duration<double>;
  Seconds load{600}, progress{60}, teardown{30}, agent{15}, restart{60}, drain{60};
};
void to_json(nlohmann::json& json, const Deadlines& deadlines);
void from_json(const nlohmann::json& json, Deadlines& deadlines);

struct Suite {
  std::string name;
  std::uint64_t seed = 1234;
  std::vector<Module> modules;
  std::vector<Task> tasks;
  Machine machine;
  Cleanup cleanup;
  Deadlines deadlines;
};

}  // namespace proctor
