// What the user asks for, as plain values: the result of reading YAML (suite_file, task_file), the input of planning
// and scoring. docs/suite.md lists every key with its default.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "orchestrator/spec/chat.h"
#include "orchestrator/spec/upstream.h"
#include "sharding/protocol/ask.h"
#include "sharding/protocol/module.h"

namespace proctor {

struct FewShot {
  enum class Sampler { random, first_n };
  std::int64_t count = 0;
  std::string split = "test";
  Sampler sampler = Sampler::random;
  std::string delimiter = "\n\n";
  std::uint64_t seed = 1234;
  enum class As { turns, text };
  As as = As::turns;  ///< with a chat template: turns of their own, or all in one user message
};

struct Metric {
  std::string name;
  nlohmann::json options = nlohmann::json::object();
  std::string code = {};  ///< the Python file whose function of this name it is; "": proctor's own
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
  std::int64_t top_k = 0;                         ///< 0: all
  std::optional<double> repetition_penalty;       ///< absent: the model's generation_config.json
  std::int64_t repeats = 1;                       ///< texts drawn of each document
  std::optional<std::int64_t> max_thinking_toks;  ///< tokens of a reasoning trace
  double min_p = 0;
  double presence_penalty = 0, frequency_penalty = 0;
  std::int64_t min_tokens = 0;
  bool ignore_eos = false;
  Tokens stop_token_ids;
  std::vector<LogitBias> logit_bias;
};

/// One change of a text that is asked or chosen.
struct CleanStep {
  enum class What { trim, replace, remove } what = What::trim;
  std::string pattern, by;  ///< replace: a text; remove: a regular expression as Python has them
};

/// A template, or a list of them (choices: a fixed list of answers).
using TemplateList = std::variant<std::string, std::vector<std::string>>;

struct Task {
  std::string name;
  std::string of_suite;  ///< the name that its file gives it; "": its own (that of `judge of a` is judge)
  std::string type;
  std::string file;                                      ///< the YAML it came from, for messages
  std::map<std::string, std::vector<std::string>> data;  ///< split -> its files, as they are found
  std::map<std::string, std::string> data_names;         ///< split -> what the task's file calls it
  std::string description;
  std::string prompt;
  std::optional<TemplateList> choices;
  std::optional<TemplateList> labels;  ///< multiple_choice: of each choice, where answers are labels
  std::vector<std::string> contexts;   ///< multiple choice where the choices are in the context; compress: the passages
  std::string answer;                  ///< multiple_choice: template of the gold answer
  std::optional<TemplateList> target;  ///< loglikelihood, generate_until, contexts
  std::string text;                    ///< loglikelihood_rolling
  std::optional<TemplateList> images;  ///< paths or bytes, or lists of them
  ImageOptions image;                  ///< what this task changes of its modules'
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
  nlohmann::json metadata = nlohmann::json::object();  ///< what the results say of the task: its version
  std::vector<CleanStep> clean;                        ///< of the prompt and of each choice, rendered
  std::string gen_prefix;                              ///< template: the answer begins with it
  Chat chat;                                           ///< what this task changes of its modules'
  OnLong on_long = OnLong::truncate;
  std::optional<Upstream> upstream;  ///< of a task over answers
  /// What modules call it.
  const std::string& base() const { return of_suite.empty() ? name : of_suite; }
};

struct Machine {
  std::optional<std::uint32_t> workers;  ///< per rank; absent: auto
  std::uint32_t cpu_threads = 1;
  std::string python;  ///< what runs the sidecar; "": found
};

struct Suite {
  std::string name;
  std::uint64_t seed = 1234;
  std::vector<Module> modules;
  std::vector<Chat> chats;  ///< of each module; none: no conversations
  std::vector<Task> tasks;
  Machine machine;
  Cleanup cleanup;
  Deadlines deadlines;
  Chat chat_of(std::size_t module, std::size_t task) const {
    return module < chats.size() ? chats[module].changed_by(tasks[task].chat) : tasks[task].chat;
  }
  ImageOptions image_of(std::size_t module, std::size_t task) const {
    return modules[module].image.changed_by(tasks[task].image);
  }
};

}  // namespace proctor
