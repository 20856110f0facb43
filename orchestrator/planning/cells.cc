#include "orchestrator/planning/cells.h"

#include <algorithm>

#include "orchestrator/metrics/hashes.h"
#include "orchestrator/planning/file_hashes.h"
#include "orchestrator/planning/image_requests.h"
#include "orchestrator/retrievers/retriever.h"
#include "sharding/planning/cost.h"
#include "sharding/protocol/ask_json.h"
#include "sharding/protocol/kinds.h"

namespace proctor {
namespace {

bool scores_same_images(const Request& one, const Request& other) {
  return has_image(one) && std::holds_alternative<Loglikelihood>(one.ask) && one.ask.index() == other.ask.index() &&
         std::ranges::equal(context_of(one), context_of(other), is_same);
}

/// A document's requests are a bundle; so are those of neighbours that score continuations of one context.
std::vector<std::uint32_t> bundles_of(const CellRequests& cell) {
  std::vector<std::uint32_t> bundles;
  for (std::size_t d = 0; d + 1 < cell.first_request.size(); ++d) {
    const std::uint32_t first = cell.first_request[d];
    if (first == cell.first_request[d + 1]) continue;
    const std::vector<Part>& parts = cell.requests[first].parts;
    const bool shares = first > 0 && parts.size() == 2 && parts.front() != Part(Text()) &&
                        parts.front() == cell.requests[first - 1].parts.front();
    if (!shares && !(first > 0 && scores_same_images(cell.requests[first], cell.requests[first - 1])))
      bundles.push_back(first);
  }
  for (std::uint32_t r = cell.first_request.back(); r < cell.requests.size(); ++r) bundles.push_back(r);
  return bundles;
}

/// Model, settings, device, libraries, numerics. What is asked comes to it by the requests themselves. Without a model
/// the numbers are the same on every machine.
nlohmann::json module_identity(const Work& work, std::uint32_t m) {
  const Module& module = work.suite.modules[m];
  if (!has_model(module.kind))
    return {{"kind", module.kind}, {"options", module.options}, {"formulas", retriever_version(module.kind)}};
  const ModelFacts& facts = work.facts[m];
  nlohmann::json json = {
      {"model", facts.model_hash},
      {"kind", module.kind},
      {"options", module.options},
      {"dtype", to_string(module.dtype)},
      {"tensor_parallel", module.tensor_parallel},
      {"max_length", facts.max_length},
      {"add_bos_token", module.add_bos_token ? nlohmann::json(*module.add_bos_token) : nlohmann::json()},
      {"seed", work.suite.seed},
      {"cpu_threads", work.suite.machine.cpu_threads},
      {"max_batch_tokens", work.max_batch_tokens[m]},
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

/// What else decides the numbers of images: how they are decoded and prepared. (Their bytes are in the requests.)
nlohmann::json image_identity(const Work& work, std::uint32_t m, std::uint32_t t) {
  const VisionFacts vision = work.vision_of(ModuleId{m}, TaskId{t});
  return {{"processor", work.processor_of(ModuleId{m}, TaskId{t})},
          {"min_pixels", vision.min_pixels},
          {"max_pixels", vision.max_pixels},
          {"upright", vision.upright},
          {"decoders", work.device.image_decoders}};
}

/// In the order of the requests: they cost no device anything.
std::vector<Shard> cut_evenly(const Cell& cell, std::size_t requests) {
  constexpr std::size_t kAtOnce = 100;  // so many are stored, or lost, together
  std::vector<Shard> shards;
  for (std::uint32_t r = 0; r < requests; ++r) {
    if (r % kAtOnce == 0) shards.push_back({cell.module, cell.task, {}, 0, 0});
    shards.back().requests.push_back(r);
  }
  return shards;
}

}  // namespace

const std::string& Cells::requests_hash(std::size_t set) {
  std::string& hash = requests_[set];
  if (!hash.empty()) return hash;
  std::string text;
  for (const Request& request : work_.requests[set].requests) text += content_of(request).dump() + "\n";
  if (const auto& passages = work_.requests[set].passages)
    for (const Passage& passage : *passages) text += xxh3_hex(passage.id) + xxh3_hex(passage.text);
  return hash = xxh3_hex(text);
}

/// Without requests and what is read.
nlohmann::json Cells::identity_of(ModuleId module, TaskId task) {
  nlohmann::json identity = module_identity(work_, module.value);
  const auto [code, fresh] = code_.try_emplace(task);
  if (fresh) code->second = code_hashes(work_.suite.tasks[task.value]);
  if (!code->second.empty()) identity["code"] = code->second;
  if (has_images(work_.requests_of(module, task))) identity["images"] = image_identity(work_, module.value, task.value);
  return identity;
}

/// What is known of it before anything has run: of a task over answers its requests as they are foreseen, and the same
/// of the cells that it reads.
const std::string& Cells::settings_of(std::size_t index) {
  std::string& hash = settings_[index];
  if (!hash.empty()) return hash;
  Cell& cell = work_.cells[index];
  cell.identity = identity_of(cell.module, cell.task);
  const std::string& requests = requests_hash(work_.set_of(cell.module, cell.task));
  const Task& task = work_.suite.tasks[cell.task.value];
  if (!task.upstream) {
    cell.identity["requests"] = requests;
  } else {
    cell.identity["foreseen"] = requests;
    for (const Source& source : task.upstream->sources)
      cell.identity["answers"][source.module + " / " + source.task] = settings_of(index_of_cell(work_, source, task));
  }
  return hash = xxh3_hex(cell.identity.dump());
}

void Cells::plan_all() {
  for (std::size_t c = 0; c < work_.cells.size(); ++c) {
    work_.cells[c].fingerprint = settings_of(c);
    if (!work_.waits(work_.cells[c].task))
      plan_known(work_.cells[c]);
    else
      std::ranges::move(cut(work_.cells[c]), std::back_inserter(work_.expected));
  }
}

void Cells::plan(TaskId task) {
  std::erase_if(work_.expected, [&](const Shard& shard) { return shard.task == task; });
  for (const Cell& cell : work_.cells)
    if (cell.task == task) requests_.erase(work_.set_of(cell.module, task));  // that were of what had been foreseen
  for (Cell& cell : work_.cells) {
    if (cell.task != task) continue;
    cell.identity["requests"] = requests_hash(work_.set_of(cell.module, task));
    cell.fingerprint = xxh3_hex(cell.identity.dump());
    plan_known(cell);
  }
}

std::vector<Shard> Cells::cut(const Cell& cell) const {
  const CellRequests& requests = work_.requests_of(cell.module, cell.task);
  if (!work_.has_model(cell.module)) return cut_evenly(cell, requests.requests.size());
  ModelFacts facts = work_.facts[cell.module.value];
  if (has_images(requests)) facts.vision = work_.vision_of(cell.module, cell.task);
  const std::vector<std::uint32_t> bundles = bundles_of(requests);
  return plan_cell({cell.module, cell.task, requests.requests, bundles}, facts, shard_target(work_.device.kind));
}

void Cells::plan_known(Cell& cell) {
  const std::string name =
      work_.suite.modules[cell.module.value].name + "/" + work_.suite.tasks[cell.task.value].name + ":";
  for (Shard& shard : cut(cell)) {
    std::string members;
    for (std::uint32_t r : shard.requests) members += std::to_string(r) + ",";
    work_.shard_hashes.push_back(xxh3_hex(cell.fingerprint + name + members));
    work_.shards.push_back(std::move(shard));
  }
}

}  // namespace proctor
