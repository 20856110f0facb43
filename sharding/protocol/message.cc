#include "sharding/protocol/message.h"

#include <array>
#include <type_traits>

#include "sharding/protocol/ask_json.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/facts_json.h"
#include "sharding/protocol/ids_json.h"
#include "sharding/protocol/ledger_json.h"
#include "sharding/protocol/module_json.h"

namespace proctor {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(GangMemory, visit)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(OpenVisit, visit, module, gang_rank, gang_size, max_batch_tokens, cleanup, deadlines,
                                   folder_hash)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(JoinGang, visit, address)

void to_json(nlohmann::json& json, const RunShard& order) {
  json = {{"visit", order.visit},       {"shard", order.shard},       {"attempt", order.attempt},
          {"requests", order.requests}, {"isolated", order.isolated}, {"set_aside", order.set_aside},
          {"unit_s", order.unit_s},     {"next", order.next},         {"max_batch_tokens", order.max_batch_tokens}};
  if (order.next_shard) json["next_shard"] = *order.next_shard;
  if (order.image != ImageOptions()) json["image"] = order.image;
  if (order.next_image != ImageOptions()) json["next_image"] = order.next_image;
}
void from_json(const nlohmann::json& json, RunShard& order) {
  json.at("visit").get_to(order.visit);
  json.at("shard").get_to(order.shard);
  json.at("attempt").get_to(order.attempt);
  json.at("max_batch_tokens").get_to(order.max_batch_tokens);
  json.at("requests").get_to(order.requests);
  json.at("isolated").get_to(order.isolated);
  json.at("set_aside").get_to(order.set_aside);
  json.at("unit_s").get_to(order.unit_s);
  if (json.contains("next_shard")) order.next_shard = json.at("next_shard").get<ShardId>();
  json.at("next").get_to(order.next);
  if (json.contains("image")) json.at("image").get_to(order.image);
  if (json.contains("next_image")) json.at("next_image").get_to(order.next_image);
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CloseVisit, visit)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TearDown, visit)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(AbortVisit, visit, reason)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(WorkerReady, pid, facts)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Progress, visit, unit, counter, batch, request)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Waiting, visit)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(GangAddress, visit, address)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(VisitOpened, visit, load_s)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(OpenFailed, visit, fault, message)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ShardAnswered, visit, shard, attempt, responses, tokens, seconds)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ShardFailed, visit, shard, attempt, out_of_memory, gang_broken, message)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Quiesced, visit, ok, message)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(VisitClosed, visit, row)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Program, command, environment)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Occupant, program, width)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Configure, device, workers, cpu_threads, memory_limit_bytes, bytes_per_worker,
                                   log_folder, orphan_s, probe_s, module_paths, guests)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(AgentFailed, host, fault, message, disk)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(StartWorker, slot, incarnation, occupant)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Measured, slot, incarnation, visit, measures)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(KillWorker, slot)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ShareMemory, visit, slots)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LackingModule, module, why)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(AgentHello, host, slots, facts, lacking)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(WorkerExited, slot, incarnation, by, how)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(DrainAsked, signal)

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LeaveNode, at_once)
void to_json(nlohmann::json& json, const AgentLeft&) { json = nullptr; }
void from_json(const nlohmann::json&, AgentLeft&) {}
void to_json(nlohmann::json& json, const Leave&) { json = nullptr; }
void from_json(const nlohmann::json&, Leave&) {}
void to_json(nlohmann::json& json, const OrchestratorBeat&) { json = nullptr; }
void from_json(const nlohmann::json&, OrchestratorBeat&) {}

namespace {

/// A frame within a message, and back.
nlohmann::json to_binary(const std::string& frame) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(frame.data());
  return nlohmann::json::binary(std::vector<std::uint8_t>(bytes, bytes + frame.size()));
}
std::string from_binary(const nlohmann::json& json) {
  const auto& bytes = json.get_binary();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

void to_json(nlohmann::json& json, const ToWorkers& order) {
  json = {{"slots", order.slots}, {"frame", to_binary(order.frame)}};
}
void from_json(const nlohmann::json& json, ToWorkers& order) {
  json.at("slots").get_to(order.slots);
  order.frame = from_binary(json.at("frame"));
}
void to_json(nlohmann::json& json, const FromWorker& report) {
  json = {{"slot", report.slot}, {"incarnation", report.incarnation}, {"frame", to_binary(report.frame)}};
}
void from_json(const nlohmann::json& json, FromWorker& report) {
  json.at("slot").get_to(report.slot);
  json.at("incarnation").get_to(report.incarnation);
  report.frame = from_binary(json.at("frame"));
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Heartbeat, beat, progress)

namespace {

using Json = nlohmann::json;

/// {"b": body, "t": kind}: keys in order, so that a short message's kind is its last byte.
template <class Variant>
std::string encode_variant(const Variant& message) {
  const Json json = {{"t", message.index()}, {"b", std::visit([](const auto& body) { return Json(body); }, message)}};
  std::string bytes;
  Json::to_msgpack(json, bytes);
  return bytes;
}

template <class Variant, std::size_t... I>
Variant decode_alternative(std::size_t index, const Json& body, std::index_sequence<I...>) {
  Variant result;
  const bool known =
      ((I == index ? (result = body.get<std::variant_alternative_t<I, Variant>>(), true) : false) || ...);
  if (!known) throw Error(Fault::internal, "message of unknown kind " + std::to_string(index));
  return result;
}

template <class Variant>
Variant decode_variant(std::string_view bytes) {
  try {
    const Json json = Json::from_msgpack(bytes.begin(), bytes.end());
    return decode_alternative<Variant>(json.at("t").get<std::size_t>(), json.at("b"),
                                       std::make_index_sequence<std::variant_size_v<Variant>>{});
  } catch (const Json::exception& error) {
    throw Error(Fault::internal, std::string("unreadable message: ") + error.what());
  }
}

}  // namespace

namespace {

/// By its last bytes: MessagePack's text "t" and the kind.
bool is_of_kind(std::string_view bytes, std::size_t kind) {
  return bytes.size() > 3 && static_cast<std::size_t>(bytes.back()) == kind &&
         bytes.substr(bytes.size() - 3, 2) == "\xa1t";
}

}  // namespace

bool is_progress(std::string_view bytes) { return is_of_kind(bytes, WorkerReport(Progress{}).index()); }

std::optional<VisitId> opened_by(std::string_view order) {
  if (!is_of_kind(order, WorkerOrder(OpenVisit{}).index())) return std::nullopt;
  return std::get<OpenVisit>(decode_worker_order(order)).visit;
}

std::optional<VisitId> closed_by(std::string_view report) {
  if (!is_of_kind(report, WorkerReport(VisitClosed{}).index())) return std::nullopt;
  return std::get<VisitClosed>(decode_worker_report(report)).visit;
}

std::string encode(const WorkerOrder& order) { return encode_variant(order); }
std::string encode(const WorkerReport& report) { return encode_variant(report); }
std::string encode(const AgentOrder& order) { return encode_variant(order); }
std::string encode(const AgentReport& report) { return encode_variant(report); }
WorkerOrder decode_worker_order(std::string_view bytes) { return decode_variant<WorkerOrder>(bytes); }
WorkerReport decode_worker_report(std::string_view bytes) { return decode_variant<WorkerReport>(bytes); }
AgentOrder decode_agent_order(std::string_view bytes) { return decode_variant<AgentOrder>(bytes); }
AgentReport decode_agent_report(std::string_view bytes) { return decode_variant<AgentReport>(bytes); }

}  // namespace proctor
