#include "orchestrator/planning/work.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <iterator>

#include "orchestrator/base/machine.h"
#include "orchestrator/cpython/python_text.h"
#include "orchestrator/data/documents.h"
#include "orchestrator/metrics/hashes.h"
#include "orchestrator/planning/fewshot.h"
#include "orchestrator/planning/message_size.h"
#include "orchestrator/task_types/can_answer.h"
#include "orchestrator/task_types/generation.h"
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

constexpr std::size_t kRenderedAtOnce = 512;  // documents whose conversations are rendered together
constexpr std::int64_t kBatchTokensCpu = 2048, kBatchTokensGpu = 8192;

/// A document's requests are a bundle; so are those of neighbours that score continuations of one context.
std::vector<std::uint32_t> bundles_of(const CellRequests& cell) {
  std::vector<std::uint32_t> bundles;
  for (std::size_t d = 0; d + 1 < cell.first_request.size(); ++d) {
    const std::uint32_t first = cell.first_request[d];
    const std::vector<Part>& parts = cell.requests[first].parts;
    const bool shares = first > 0 && parts.size() == 2 && parts.front() != Part(Text()) &&
                        parts.front() == cell.requests[first - 1].parts.front();
    if (!shares) bundles.push_back(first);
  }
  for (std::uint32_t r = cell.first_request.back(); r < cell.requests.size(); ++r) bundles.push_back(r);
  return bundles;
}

std::string requests_hash(std::span<const Request> requests) {
  std::string text;
  for (const Request& request : requests) text += nlohmann::json(request).dump() + "\n";
  return xxh3_hex(text);
}

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
  return json;
}

void refuse_wrong_kind(const Module& module, const ModelFacts& facts) {
  if (std::ranges::find(facts.kinds, module.kind) == facts.kinds.end())
    throw UsageError("module " + module.name + ": kind " + module.kind + " cannot use " + facts.architecture + " (" +
                     module.path + "), it needs " + find_kind_row(module.kind, module.name).needs +
                     "; kinds that can: " + quoted_list(facts.kinds));
}

void add_cell(Work& work, std::uint32_t m, std::uint32_t t, const std::string& requests) {
  const CellRequests& cell = work.requests_of(ModuleId{m}, TaskId{t});
  const std::vector<std::uint32_t> bundles = bundles_of(cell);
  nlohmann::json identity = identity_of(work, work.suite.modules[m], work.facts[m], requests, work.max_batch_tokens[m]);
  const std::string hash = xxh3_hex(identity.dump());
  work.cells.push_back({ModuleId{m}, TaskId{t}, std::move(identity), hash});
  const std::string name = work.suite.modules[m].name + "/" + work.suite.tasks[t].name + ":";
  for (Shard& shard :
       plan_cell({ModuleId{m}, TaskId{t}, cell.requests, bundles}, work.facts[m], shard_target(work.device.kind))) {
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

/// A row's requests travel together.
void refuse_past_message(std::span<const Request> requests, const std::string& where) {
  if (const std::size_t bytes = message_bytes(requests); bytes > kMostMessageBytes)
    throw InputError(where + ": asks with texts of " + std::to_string(bytes >> 20) + " MiB, past the " +
                     std::to_string(kMostMessageBytes >> 20) + " MiB that a worker is sent at once");
}

/// Between a context and a choice: a template writes what comes before an answer itself, unless one has been begun.
std::string delimiter_of(const Task& task, const PromptStyle& style) {
  const bool begun = !task.gen_prefix.empty() && !python::ends_with_space(task.gen_prefix);
  return style.renderer && !begun ? "" : task.target_delimiter;
}

std::vector<std::string> written(const std::vector<Messages>& conversations, const Task& task,
                                 const PromptStyle& style) {
  std::vector<std::string> texts;
  if (!style.renderer) {
    for (const Messages& one : conversations) texts.push_back(plain_text(one));
    return texts;
  }
  if (task.fewshot.as == FewShot::As::turns) return style.renderer->render(conversations);
  std::vector<Messages> single;
  for (const Messages& one : conversations) single.push_back(single_turn(one));
  return style.renderer->render(single);
}

CellRequests build_requests(const TaskTemplates& task, DocumentLimit limit, const PromptStyle& style) {
  const Task& spec = *task.task;
  const TaskType& type = task_type_of(spec);
  if (std::optional<CellRequests> whole = type.build(task, limit)) {
    for (const Request& request : whole->requests) refuse_past_message({&request, 1}, "task " + spec.name);
    return std::move(*whole);
  }
  CellRequests cell;
  std::vector<Document> all = read_documents(spec.data.at("test"), task.tables);
  const bool same_split = spec.fewshot.split == "test";
  const std::vector<Document> other = same_split || spec.fewshot.count == 0
                                          ? std::vector<Document>{}
                                          : read_documents(spec.data.at(spec.fewshot.split), task.tables);
  FewShotSampler sampler(spec, same_split ? std::span<const Document>(all) : std::span<const Document>(other));
  const std::size_t count = limit.of(all.size());
  Prompt prompt{{}, delimiter_of(spec, style)};
  const std::size_t at_once = style.renderer ? kRenderedAtOnce : 1;
  for (std::size_t begin = 0; begin < count; begin += at_once) {
    const std::size_t end = std::min(count, begin + at_once);
    std::vector<Messages> conversations;
    std::vector<std::size_t> first = {0};  // of each document
    for (std::size_t d = begin; d < end; ++d) {
      const std::vector<const Document*> examples = sampler.draw(all[d]);
      for (std::string& question : type.questions(task, all[d]))
        conversations.push_back(assemble_messages(task, type, style.system, examples, all[d], std::move(question)));
      first.push_back(conversations.size());
    }
    std::vector<std::string> texts = written(conversations, spec, style);
    for (std::size_t d = begin; d < end; ++d) {
      prompt.contexts.clear();
      for (std::size_t i = first[d - begin]; i < first[d - begin + 1]; ++i)
        prompt.contexts.push_back(std::move(texts[i]));
      cell.first_request.push_back(static_cast<std::uint32_t>(cell.requests.size()));
      std::vector<Request> requests = type.requests(task, all[d], prompt);
      refuse_past_message(requests, all[d].where());
      std::ranges::move(requests, std::back_inserter(cell.requests));
    }
  }
  cell.first_request.push_back(static_cast<std::uint32_t>(cell.requests.size()));
  all.resize(count);
  cell.documents = std::move(all);
  return cell;
}

/// Types whose prompts a chat template writes; the others' texts stand alone.
bool speaks(const Task& task) {
  return task.type == "multiple_choice" || task.type == "loglikelihood" || task.type == "generate_until";
}

/// One more set: of a task, in this style.
void add_set(Work& work, std::uint32_t t, const PromptStyle& style) {
  work.requests.push_back(build_requests(work.templates[t], work.limit, style));
  seed_draws(work.requests.back().requests, work.suite.seed, work.suite.tasks[t].name);
}

/// The requests of every (module, task) that is asked in conversation: one set for each folder and way of talking.
void add_conversations(Work& work, ConversationRenderer* renderer) {
  std::map<std::string, std::size_t> sets;
  work.chat_templates.resize(work.suite.modules.size());
  for (std::uint32_t m = 0; m < work.suite.modules.size(); ++m)
    for (std::uint32_t t = 0; t < work.suite.tasks.size(); ++t) {
      const Module& module = work.suite.modules[m];
      const Task& task = work.suite.tasks[t];
      const Chat chat = work.suite.chat_of(m, t);
      if (!chat.on() || !can_answer(module, task) || !speaks(task)) continue;
      PROCTOR_CHECK(renderer, "whoever has chat templates has a renderer");
      const nlohmann::json key = {module.path,
                                  chat.chosen.value_or(""),
                                  chat.system.value_or(""),
                                  chat.kwargs.value_or(nlohmann::ordered_json()).dump(),
                                  chat.date.value_or(""),
                                  t};
      const auto [known, fresh] = sets.try_emplace(key.dump(), work.requests.size());
      work.conversations[{ModuleId{m}, TaskId{t}}] = known->second;
      if (!fresh && !work.chat_templates[m].empty()) continue;
      const std::string text = renderer->open(module.path, chat);
      if (work.chat_templates[m].empty()) work.chat_templates[m] = text;
      if (!fresh) continue;
      add_set(work, t, {renderer, chat.system.value_or("")});
      if (const std::size_t without = renderer->without_system())
        work.notes.push_back("module " + module.name + ", task " + task.name + ": its chat template refuses a system " +
                             "message, so " + counted(without, "conversation") + " went without");
    }
}

/// Whether some module is asked without a conversation.
bool is_plain(const Work& work, std::uint32_t t) {
  for (std::uint32_t m = 0; m < work.suite.modules.size(); ++m)
    if (can_answer(work.suite.modules[m], work.suite.tasks[t]) &&
        !(work.suite.chat_of(m, t).on() && speaks(work.suite.tasks[t])))
      return true;
  return false;
}

Work prepare_work(Suite suite, DocumentLimit limit, FactSource& facts, const Interpreters& interpreters) {
  Work work;
  work.suite = std::move(suite);
  work.limit = limit;
  Answers answers(work.suite.modules, facts);
  for (const Task& task : work.suite.tasks) {
    work.templates.push_back(compile(task));
    work.templates.back().tables = interpreters.tables;
  }
  for (std::uint32_t t = 0; t < work.templates.size(); ++t)
    if (is_plain(work, t))
      add_set(work, t, {});
    else
      work.requests.emplace_back();
  add_conversations(work, interpreters.renderer);
  work.facts = answers.facts();
  for (std::size_t m = 0; m < work.suite.modules.size(); ++m) {
    const Module& module = work.suite.modules[m];
    refuse_wrong_kind(module, work.facts[m]);
    if (const auto why = cannot_split(work.facts[m], module.tensor_parallel))
      throw UsageError("module " + module.name + ": tensor_parallel " + std::to_string(module.tensor_parallel) + ": " +
                       *why + "; sizes that can be used: " + usable_sizes(work.facts[m], kMaxGangMembers));
  }
  work.device = answers.device.get();
  for (const Module& module : work.suite.modules)
    work.max_batch_tokens.push_back(
        module.max_batch_tokens.value_or(work.device.kind == "cpu" ? kBatchTokensCpu : kBatchTokensGpu));
  std::vector<std::string> hashes;
  for (const CellRequests& cell : work.requests) hashes.push_back(requests_hash(cell.requests));
  for (std::uint32_t m = 0; m < work.suite.modules.size(); ++m)
    for (std::uint32_t t = 0; t < work.suite.tasks.size(); ++t)
      if (can_answer(work.suite.modules[m], work.suite.tasks[t]))
        add_cell(work, m, t, hashes[work.set_of(ModuleId{m}, TaskId{t})]);
  if (work.cells.empty()) throw UsageError("suite " + work.suite.name + ": no module runs any task");
  return work;
}

std::size_t index_of_cell(const Work& work, ModuleId module, TaskId task) {
  const auto found =
      std::ranges::find_if(work.cells, [&](const Cell& p) { return p.module == module && p.task == task; });
  PROCTOR_CHECK(found != work.cells.end(), "a shard belongs to a cell");
  return static_cast<std::size_t>(found - work.cells.begin());
}

}  // namespace proctor
