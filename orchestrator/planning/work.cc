#include "orchestrator/planning/work.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <iterator>

#include "orchestrator/base/machine.h"
#include "orchestrator/planning/cells.h"
#include "orchestrator/planning/chain.h"
#include "orchestrator/planning/file_hashes.h"
#include "orchestrator/planning/image_requests.h"
#include "orchestrator/planning/request_sets.h"
#include "orchestrator/task_types/can_answer.h"
#include "orchestrator/task_types/generation.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/planning/tensor_parallel.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/gang_memory.h"
#include "sharding/protocol/kinds.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

/// The answers to a suite's questions, asked while the tasks are read. A process takes a third of a second to start, so
/// there is one for each core, and each is asked about its share of the modules that have a model. What nobody waits
/// for any more is not asked.
class Answers {
  std::atomic<bool> dropped_ = false;  // in front of the futures, whose threads read it to their end

 public:
  Answers(const std::vector<Module>& suite, FactSource& source) : suite_(suite) {
    std::ranges::copy_if(suite, std::back_inserter(asked_), has_model, &Module::kind);
    const std::size_t shares = std::clamp<std::size_t>(asked_.size(), 1, usable_cores());
    for (std::size_t i = 0; i < shares && !asked_.empty(); ++i) {
      const std::size_t begin = asked_.size() * i / shares, end = asked_.size() * (i + 1) / shares;
      modules_.push_back(
          ask([&, begin, end] { return source.check_each(std::span(asked_).subspan(begin, end - begin)); }));
    }
    device = ask([&] { return source.probe(); });
  }
  ~Answers() { dropped_ = true; }

  /// Of every module, in the suite's order. Throws what is wrong with the first that has something wrong.
  std::vector<ModelFacts> facts() {
    std::vector<ModelFacts> asked, all;
    for (auto& share : modules_)
      for (CheckedModule& one : share.get()) {
        if (one.error) std::rethrow_exception(one.error);
        asked.push_back(std::move(one.facts));
      }
    for (auto next = asked.begin(); const Module& module : suite_)
      all.push_back(has_model(module.kind) ? std::move(*next++) : facts_without_a_model(module));
    return all;
  }

  std::future<DeviceFacts> device;

 private:
  static ModelFacts facts_without_a_model(const Module& module) {
    ModelFacts facts;
    facts.architecture = "no model";
    facts.kinds = {module.kind};
    return facts;
  }

  template <class Question>
  std::future<std::invoke_result_t<Question>> ask(Question question) {
    return std::async(std::launch::async,
                      [this, question] { return dropped_ ? std::invoke_result_t<Question>() : question(); });
  }
  const std::vector<Module>& suite_;
  std::vector<Module> asked_;
  std::vector<std::future<std::vector<CheckedModule>>> modules_;  // behind what their threads read
};

constexpr std::int64_t kBatchTokensCpu = 2048, kBatchTokensGpu = 8192;

/// A number for each program, and what each module needs in its slots.
void number_programs(Work& work) {
  for (const Module& module : work.suite.modules) {
    Occupant& occupant = work.occupants.emplace_back();
    if (!module.engine) continue;
    const Program program{module.engine->command, module.engine->environment};
    const auto known = std::ranges::find(work.guests, program);
    occupant = {static_cast<std::uint32_t>(known - work.guests.begin()) + 1, module.tensor_parallel};
    if (known == work.guests.end()) work.guests.push_back(program);
  }
}

/// Whether its engine, if it has one, answers what the task asks.
bool engine_answers(const EngineFacts& engine, const Task& task) {
  return engine.native() || std::ranges::all_of(task_type_of(task).request_types(), [&](RequestType type) {
           return std::ranges::find(engine.answers, to_string(type)) != engine.answers.end();
         });
}

/// True where the module answers the task. One that was named for it and whose engine does not is refused.
bool makes_a_cell(Work& work, std::uint32_t m, std::uint32_t t) {
  const Module& module = work.suite.modules[m];
  const Task& task = work.suite.tasks[t];
  if (!can_answer(module, task)) return false;
  if (engine_answers(work.facts[m].engine, task)) return true;
  const std::string why = "module " + module.name + ": engine " + work.facts[m].engine.name + " does not answer task " +
                          task.name + " of type " + task.type + " (it answers " +
                          quoted_list(work.facts[m].engine.answers) + ")";
  if (module.tasks) throw UsageError(why);
  work.notes.push_back(why);
  return false;
}

void refuse_wrong_kind(const Module& module, const ModelFacts& facts) {
  if (std::ranges::find(facts.kinds, module.kind) == facts.kinds.end())
    throw UsageError("module " + module.name + ": kind " + module.kind + " cannot use " + facts.architecture + " (" +
                     module.path + "), it needs " + find_kind_row(module.kind, module.name).needs +
                     "; kinds that can: " + quoted_list(facts.kinds));
}

}  // namespace

std::vector<CheckedModule> FactSource::check_each(std::span<const Module> modules) {
  std::vector<CheckedModule> all(modules.size());
  for (std::size_t m = 0; m < modules.size(); ++m) try {
      all[m].facts = check(modules[m]);
    } catch (...) {
      all[m].error = std::current_exception();
    }
  return all;
}

Work prepare_work(Suite suite, DocumentLimit limit, FactSource& facts, const Interpreters& interpreters) {
  Work work;
  work.suite = std::move(suite);
  work.limit = limit;
  Answers answers(work.suite.modules, facts);
  work.requests.resize(work.suite.tasks.size());
  for (const Task& task : work.suite.tasks) {
    if (task.upstream) work.waiting.insert(TaskId{static_cast<std::uint32_t>(work.templates.size())});
    work.templates.push_back(compile(task));
    work.templates.back().tables = interpreters.tables;
    work.templates.back().code = interpreters.code;
    for (const Metric& metric : task.metrics)
      if (!metric.code.empty() && interpreters.code) interpreters.code->check({metric.code, metric.name});
  }
  const auto ask_facts = [&] {
    if (work.facts.empty()) work.facts = answers.facts();
  };
  ImageFiles files_alone({});
  ImageFiles& files = interpreters.images ? *interpreters.images : files_alone;
  RequestSets sets(work, interpreters.renderer, files, ask_facts);
  for (const std::uint32_t t : in_order_of_reading(work.suite)) {
    if (work.suite.tasks[t].upstream) foresee_rows(work, TaskId{t});
    sets.fill(t);
  }
  work.data_hashes = data_hashes(work.suite);
  ask_facts();
  for (std::size_t m = 0; m < work.suite.modules.size(); ++m) {
    const Module& module = work.suite.modules[m];
    refuse_wrong_kind(module, work.facts[m]);
    if (module.image != ImageOptions() && !work.facts[m].vision.reads_images())
      throw UsageError("module " + module.name + ": image does nothing: " + work.facts[m].architecture + " (" +
                       module.path + ") reads no images; leave it out");
    if (const auto why = module.engine ? std::nullopt : cannot_split(work.facts[m], module.tensor_parallel))
      throw UsageError("module " + module.name + ": tensor_parallel " + std::to_string(module.tensor_parallel) + ": " +
                       *why + "; sizes that can be used: " + usable_sizes(work.facts[m], kMaxGangMembers));
  }
  number_programs(work);
  write_images(work, files);
  files.keep();
  for (std::size_t m = 0; m < work.facts.size(); ++m)
    if (!is_reproducible(work.facts[m]))
      work.notes.push_back(
          "module " + work.suite.modules[m].name + ": engine " + work.facts[m].engine.name +
          " does not promise that equal shards get equal answers; results say reproducible: no (engine)");
  work.device = answers.device.get();
  for (const Module& module : work.suite.modules)
    work.max_batch_tokens.push_back(
        module.max_batch_tokens.value_or(work.device.kind == "cpu" ? kBatchTokensCpu : kBatchTokensGpu));
  Cells cells(work);
  for (std::uint32_t m = 0; m < work.suite.modules.size(); ++m)
    for (std::uint32_t t = 0; t < work.suite.tasks.size(); ++t)
      if (makes_a_cell(work, m, t)) cells.add(ModuleId{m}, TaskId{t});
  cells.plan_all();
  if (work.cells.empty()) throw UsageError("suite " + work.suite.name + ": no module runs any task");
  return work;
}

bool is_reproducible(const ModelFacts& facts) { return facts.engine.native() || facts.engine.promises_to_be("pure"); }

bool is_reproducible(const Work& work, ModuleId module, TaskId id) {
  const Task& task = work.suite.tasks[id.value];
  return is_reproducible(work.facts[module.value]) &&
         (!task.upstream || std::ranges::all_of(task.upstream->sources, [&](const Source& source) {
           const Cell& read = work.cells[index_of_cell(work, source, task)];
           return is_reproducible(work, read.module, read.task);
         }));
}

std::size_t index_of_cell(const Work& work, const Source& source, const Task& reader) {
  for (std::size_t c = 0; c < work.cells.size(); ++c)
    if (work.suite.modules[work.cells[c].module.value].name == source.module &&
        work.suite.tasks[work.cells[c].task.value].name == source.task)
      return c;
  throw UsageError(reader.upstream->where + ": task " + reader.name + " reads answers of module " + source.module +
                   ", whose engine does not answer task " + source.task);
}

std::string name_of(const Work& work, const Cell& cell) {
  return work.suite.modules[cell.module.value].name + " / " + work.suite.tasks[cell.task.value].name;
}

std::size_t index_of_cell(const Work& work, ModuleId module, TaskId task) {
  const auto found =
      std::ranges::find_if(work.cells, [&](const Cell& p) { return p.module == module && p.task == task; });
  PROCTOR_CHECK(found != work.cells.end(), "a shard belongs to a cell");
  return static_cast<std::size_t>(found - work.cells.begin());
}

}  // namespace proctor
