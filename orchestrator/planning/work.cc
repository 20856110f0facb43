#include "orchestrator/planning/work.h"

#include <algorithm>
#include <atomic>
#include <future>

#include "orchestrator/base/machine.h"
#include "orchestrator/metrics/hashes.h"
#include "orchestrator/planning/file_hashes.h"
#include "orchestrator/planning/image_requests.h"
#include "orchestrator/planning/request_sets.h"
#include "orchestrator/task_types/can_answer.h"
#include "orchestrator/task_types/generation.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/planning/cost.h"
#include "sharding/planning/tensor_parallel.h"
#include "sharding/protocol/ask_json.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/gang_memory.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

/// The answers to a suite's questions, asked while the tasks are read. A process takes a third of a second to start, so
/// there is one for each core, and each is asked about its share of the modules. What nobody waits for any more is not
/// asked.
class Answers {
  std::atomic<bool> dropped_ = false;  // in front of the futures, whose threads read it to their end

 public:
  Answers(const std::vector<Module>& suite, FactSource& source) {
    const std::size_t shares = std::clamp<std::size_t>(suite.size(), 1, usable_cores());
    for (std::size_t i = 0; i < shares; ++i) {
      const std::size_t begin = suite.size() * i / shares, end = suite.size() * (i + 1) / shares;
      modules_.push_back(
          ask([&, begin, end] { return source.check_each(std::span(suite).subspan(begin, end - begin)); }));
    }
    device = ask([&] { return source.probe(); });
  }
  ~Answers() { dropped_ = true; }

  /// Of every module, in the suite's order. Throws what is wrong with the first that has something wrong.
  std::vector<ModelFacts> facts() {
    std::vector<ModelFacts> all;
    for (auto& share : modules_)
      for (CheckedModule& one : share.get()) {
        if (one.error) std::rethrow_exception(one.error);
        all.push_back(std::move(one.facts));
      }
    return all;
  }

  std::future<DeviceFacts> device;

 private:
  template <class Question>
  std::future<std::invoke_result_t<Question>> ask(Question question) {
    return std::async(std::launch::async,
                      [this, question] { return dropped_ ? std::invoke_result_t<Question>() : question(); });
  }
  std::vector<std::future<std::vector<CheckedModule>>> modules_;
};

constexpr std::int64_t kBatchTokensCpu = 2048, kBatchTokensGpu = 8192;

bool scores_same_images(const Request& one, const Request& other) {
  return has_image(one) && std::holds_alternative<Loglikelihood>(one.ask) && one.ask.index() == other.ask.index() &&
         std::ranges::equal(context_of(one), context_of(other), is_same);
}

/// A document's requests are a bundle; so are those of neighbours that score continuations of one context.
std::vector<std::uint32_t> bundles_of(const CellRequests& cell) {
  std::vector<std::uint32_t> bundles;
  for (std::size_t d = 0; d + 1 < cell.first_request.size(); ++d) {
    const std::uint32_t first = cell.first_request[d];
    const std::vector<Part>& parts = cell.requests[first].parts;
    const bool shares = first > 0 && parts.size() == 2 && parts.front() != Part(Text()) &&
                        parts.front() == cell.requests[first - 1].parts.front();
    if (!shares && !(first > 0 && scores_same_images(cell.requests[first], cell.requests[first - 1])))
      bundles.push_back(first);
  }
  for (std::uint32_t r = cell.first_request.back(); r < cell.requests.size(); ++r) bundles.push_back(r);
  return bundles;
}

std::string requests_hash(std::span<const Request> requests) {
  std::string text;
  for (const Request& request : requests) text += content_of(request).dump() + "\n";
  return xxh3_hex(text);
}

/// What of a task counts for its cells' identity.
struct TaskHashes {
  std::vector<std::string> requests;                     // of each set
  std::vector<std::map<std::string, std::string>> code;  // of each task
  std::vector<bool> images;                              // of each set: whether it has any
};

/// Identity of a cell: model, data and prompts (by the requests themselves), settings, device, libraries, numerics.
nlohmann::json identity_of(const Work& work, const Module& module, const ModelFacts& facts, const std::string& requests,
                           std::int64_t batch_tokens) {
  nlohmann::json json = {
      {"model", facts.model_hash},
      {"requests", requests},
      {"kind", module.kind},
      {"options", module.options},
      {"dtype", to_string(module.dtype)},
      {"tensor_parallel", module.tensor_parallel},
      {"max_length", facts.max_length},
      {"add_bos_token", module.add_bos_token ? nlohmann::json(*module.add_bos_token) : nlohmann::json()},
      {"seed", work.suite.seed},
      {"cpu_threads", work.suite.machine.cpu_threads},
      {"max_batch_tokens", batch_tokens},
      {"device", work.device.kind},
      {"instruction_set", work.device.instruction_set},
      {"torch", work.device.torch_version},
      {"nccl", work.device.nccl_version},
      {"numerics", work.device.numerics}};
  if (!module.engine) return json;
  for (const char* of_our_own : {"torch", "nccl", "numerics"}) json.erase(of_our_own);
  json["engine"] = {{"name", facts.engine.name},
                    {"versions", facts.engine.versions},
                    {"code", facts.engine.code_hash},
                    {"environment", facts.engine.environment}};
  return json;
}

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

/// What else decides the numbers of images: how they are decoded and prepared. (Their bytes are in the requests.)
nlohmann::json image_identity(const Work& work, std::uint32_t m, std::uint32_t t) {
  const VisionFacts vision = work.vision_of(ModuleId{m}, TaskId{t});
  return {{"processor", work.processor_of(ModuleId{m}, TaskId{t})},
          {"min_pixels", vision.min_pixels},
          {"max_pixels", vision.max_pixels},
          {"upright", vision.upright},
          {"decoders", work.device.image_decoders}};
}

void refuse_wrong_kind(const Module& module, const ModelFacts& facts) {
  if (std::ranges::find(facts.kinds, module.kind) == facts.kinds.end())
    throw UsageError("module " + module.name + ": kind " + module.kind + " cannot use " + facts.architecture + " (" +
                     module.path + "), it needs " + find_kind_row(module.kind, module.name).needs +
                     "; kinds that can: " + quoted_list(facts.kinds));
}

void add_cell(Work& work, std::uint32_t m, std::uint32_t t, const TaskHashes& hashes) {
  const CellRequests& cell = work.requests_of(ModuleId{m}, TaskId{t});
  const std::vector<std::uint32_t> bundles = bundles_of(cell);
  nlohmann::json identity = identity_of(work, work.suite.modules[m], work.facts[m],
                                        hashes.requests[work.set_of(ModuleId{m}, TaskId{t})], work.max_batch_tokens[m]);
  if (!hashes.code[t].empty()) identity["code"] = hashes.code[t];
  ModelFacts facts = work.facts[m];
  if (hashes.images[work.set_of(ModuleId{m}, TaskId{t})]) {
    identity["images"] = image_identity(work, m, t);
    facts.vision = work.vision_of(ModuleId{m}, TaskId{t});
  }
  const std::string hash = xxh3_hex(identity.dump());
  work.cells.push_back({ModuleId{m}, TaskId{t}, std::move(identity), hash});
  const std::string name = work.suite.modules[m].name + "/" + work.suite.tasks[t].name + ":";
  for (Shard& shard :
       plan_cell({ModuleId{m}, TaskId{t}, cell.requests, bundles}, facts, shard_target(work.device.kind))) {
    std::string members;
    for (std::uint32_t r : shard.requests) members += std::to_string(r) + ",";
    work.shard_hashes.push_back(xxh3_hex(work.cells.back().fingerprint + name + members));
    work.shards.push_back(std::move(shard));
  }
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
  for (const Task& task : work.suite.tasks) {
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
  add_requests(work, interpreters.renderer, files, ask_facts);
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
  TaskHashes hashes;
  for (const CellRequests& cell : work.requests) {
    hashes.requests.push_back(requests_hash(cell.requests));
    hashes.images.push_back(has_images(cell));
  }
  for (const Task& task : work.suite.tasks) hashes.code.push_back(code_hashes(task));
  for (std::uint32_t m = 0; m < work.suite.modules.size(); ++m)
    for (std::uint32_t t = 0; t < work.suite.tasks.size(); ++t)
      if (makes_a_cell(work, m, t)) add_cell(work, m, t, hashes);
  if (work.cells.empty()) throw UsageError("suite " + work.suite.name + ": no module runs any task");
  return work;
}

bool is_reproducible(const ModelFacts& facts) { return facts.engine.native() || facts.engine.promises_to_be("pure"); }

std::size_t index_of_cell(const Work& work, ModuleId module, TaskId task) {
  const auto found =
      std::ranges::find_if(work.cells, [&](const Cell& p) { return p.module == module && p.task == task; });
  PROCTOR_CHECK(found != work.cells.end(), "a shard belongs to a cell");
  return static_cast<std::size_t>(found - work.cells.begin());
}

}  // namespace proctor
