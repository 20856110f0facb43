// Everything a run will do, built on rank 0 before anything starts: documents, prompts, requests, model facts, shards.
#pragma once

#include <exception>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/data/table_reader.h"
#include "orchestrator/images/image_files.h"
#include "orchestrator/planning/cell_requests.h"
#include "orchestrator/prompts/conversation.h"
#include "orchestrator/spec/document_limit.h"
#include "orchestrator/spec/suite.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/planning/planner.h"
#include "sharding/protocol/kinds.h"
#include "sharding/protocol/program.h"

namespace proctor {

/// One (module, task). The requests are shared by all modules that run the task.
struct Cell {
  ModuleId module;
  TaskId task;
  nlohmann::json identity;  ///< key -> what has to be equal for stored answers to count
  std::string fingerprint;  ///< its hash
};

struct Work {
  Suite suite;
  DocumentLimit limit = 0;               ///< documents of each task
  std::vector<TaskTemplates> templates;  ///< of each task
  std::vector<CellRequests> requests;    ///< of each task as plain text, then those in a style of their own
  std::map<std::pair<ModuleId, TaskId>, std::size_t> own_sets;  ///< whose requests are which of the latter
  std::vector<std::string> chat_templates;                      ///< of each module; "": it has none
  std::vector<std::map<std::string, std::string>> data_hashes;  ///< of each task that is scored, by split: SHA-256
  std::vector<std::string> notes;                               ///< what the user should know
  std::vector<ModelFacts> facts;                                ///< of each module
  DeviceFacts device;
  std::vector<Cell> cells;                ///< module by module, tasks in suite order
  std::set<TaskId> waiting;               ///< tasks over answers that are not here yet: their requests are as foreseen
  std::vector<Shard> expected;            ///< of those
  std::vector<Shard> shards;              ///< of all others; grows as answers come (chain.h)
  std::vector<std::string> shard_hashes;  ///< of each shard's requests
  std::vector<std::int64_t> max_batch_tokens;  ///< of each module
  std::vector<Program> guests;                 ///< programs 1, 2, ...
  std::vector<Occupant> occupants;             ///< of each module: what has to run in its slots
  /// Without one, rank 0 computes it.
  bool has_model(ModuleId module) const { return proctor::has_model(suite.modules[module.value].kind); }
  bool waits(TaskId task) const { return waiting.contains(task); }
  /// Those that are known, then those that are expected.
  template <class Act>
  void each_shard(Act act) const {
    for (const Shard& shard : shards) act(shard);
    for (const Shard& shard : expected) act(shard);
  }
  Occupant occupant_of(std::size_t module) const { return module < occupants.size() ? occupants[module] : Occupant{}; }
  std::size_t set_of(ModuleId module, TaskId task) const {
    const auto found = own_sets.find({module, task});
    return found == own_sets.end() ? task.value : found->second;
  }
  const CellRequests& requests_of(ModuleId module, TaskId task) const { return requests[set_of(module, task)]; }
  /// What the module does with the task's images.
  VisionFacts vision_of(ModuleId module, TaskId task) const {
    return prepared_so(facts[module.value].vision, suite.image_of(module.value, task.value));
  }
  /// slow or fast, as resolved.
  std::string processor_of(ModuleId module, TaskId task) const {
    const auto chosen = suite.image_of(module.value, task.value).processor.value_or(ProcessorChoice::automatic);
    return chosen == ProcessorChoice::automatic ? facts[module.value].image_processor : to_string(chosen);
  }
};

/// Facts of a module, or why there are none.
struct CheckedModule {
  ModelFacts facts;
  std::exception_ptr error;
};

/// What the worker binary knows: facts of a folder, facts of the machine. Asked by several threads at a time.
class FactSource {
 public:
  virtual ~FactSource() = default;
  virtual ModelFacts check(const Module& module) = 0;
  /// Each of them, in their order: what is wrong with one does not concern the others.
  virtual std::vector<CheckedModule> check_each(std::span<const Module> modules);
  virtual DeviceFacts probe() = 0;
};

/// What reads and writes what C++ here does not; each may be nullptr where nothing of the suite needs it.
struct Interpreters {
  ConversationRenderer* renderer = nullptr;  ///< of chat templates
  TableReader* tables = nullptr;             ///< of Parquet and Arrow files
  CodeMetrics* code = nullptr;               ///< of metrics in Python; outlives the work
  ImageFiles* images = nullptr;  ///< of rows with images; nullptr: those in files alone, and nothing is kept
};
/// Throws UsageError or InputError; nothing has been started then, and nothing written but images that came as bytes.
Work prepare_work(Suite suite, DocumentLimit limit, FactSource& facts, const Interpreters& interpreters = {});

/// Whether an answer is a function of its shard, on one kind of machine: proctor's own, and a guest's that says so.
bool is_reproducible(const ModelFacts& facts);
/// Whether a cell's answers are: its module's, and those that it reads.
bool is_reproducible(const Work& work, ModuleId module, TaskId task);

/// As messages, reports and the store call it: "module / task".
std::string name_of(const Work& work, const Cell& cell);
std::size_t index_of_cell(const Work& work, ModuleId module, TaskId task);
/// Of a cell that a task reads. Throws UsageError where there is none, since the module's engine does not answer it.
std::size_t index_of_cell(const Work& work, const Source& source, const Task& reader);

}  // namespace proctor
