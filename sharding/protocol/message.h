// Every message between the processes, on one screen. An Order goes down (orchestrator -> agent -> worker), a Report
// comes up. Each that belongs to a visit carries its id; a worker drops what is not for its visit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sharding/protocol/facts.h"
#include "sharding/protocol/ids.h"
#include "sharding/protocol/ledger.h"
#include "sharding/protocol/module.h"
#include "sharding/protocol/outside_measures.h"
#include "sharding/protocol/program.h"
#include "sharding/protocol/request.h"

namespace proctor {

// ---- to a worker
struct GangMemory {  ///< before OpenVisit of a gang of CPU workers: a descriptor of their common memory travels with it
  VisitId visit;
};
struct OpenVisit {
  VisitId visit;
  Module module;
  std::uint32_t gang_rank = 0, gang_size = 1;
  std::int64_t max_batch_tokens = 0;
  Cleanup cleanup;
  Deadlines deadlines;
  std::string folder_hash = {};  ///< what rank 0 found in the module's folder (ModelFacts); empty: nobody compares
};
struct JoinGang {  ///< a gang of GPU workers: where member 0 is met; then the communicator is made and the module
                   ///< loaded
  VisitId visit;
  std::string address;
};
struct RunShard {
  VisitId visit;
  ShardId shard;
  std::uint32_t attempt = 0;
  std::int64_t max_batch_tokens = 0;
  std::vector<Request> requests;             ///< empty where they came with the shard before it, as `next`
  std::vector<std::uint32_t> isolated;       ///< batches to be run request by request
  std::vector<std::uint32_t> set_aside;      ///< requests that are not to be run
  double unit_s = 60;                        ///< how long one announced unit may take before this member counts as hung
  std::optional<ShardId> next_shard;         ///< that probably follows
  std::vector<Request> next;                 ///< its requests, to be tokenised meanwhile
  ImageOptions image = {}, next_image = {};  ///< what the task of either changes of the module's
};
struct CloseVisit {  ///< synchronise and say how you are: Quiesced
  VisitId visit;
};
struct TearDown {  ///< every member is well: the orderly path; answered by VisitClosed
  VisitId visit;
};
struct AbortVisit {  ///< some member is not: touch nothing that can wait, measure, answer VisitClosed; you will be
                     ///< replaced
  VisitId visit;
  std::string reason;
};
struct Leave {
  bool operator==(const Leave&) const = default;
};
// ---- from a worker
struct WorkerReady {
  std::int64_t pid = 0;
  DeviceFacts facts;
};
struct Progress {  ///< announced before the unit is run: what is being waited for, and how many came before it
  VisitId visit;
  std::string unit;
  std::uint64_t counter = 0;
  std::int64_t batch = -1, request = -1;  ///< the batch of the shard it is in; its request, if it has one only
};
struct Waiting {  ///< this member has waited long for another one in a collective: it is not the one that hangs
  VisitId visit;
};
struct GangAddress {  ///< from member 0; passed on to every member as JoinGang
  VisitId visit;
  std::string address;
};
struct VisitOpened {
  VisitId visit;
  double load_s = 0;
};
struct OpenFailed {
  VisitId visit;
  std::string fault, message;
};
struct ShardAnswered {  ///< from member 0
  VisitId visit;
  ShardId shard;
  std::uint32_t attempt = 0;
  std::vector<Response> responses;
  std::uint64_t tokens = 0;  ///< computed
  double seconds = 0;
};
struct ShardFailed {  ///< from every member that can still speak
  VisitId visit;
  ShardId shard;
  std::uint32_t attempt = 0;
  bool out_of_memory = false;
  bool gang_broken = false;  ///< the communicator cannot be used any more: the visit has to be aborted
  std::string message;
};
struct Quiesced {
  VisitId visit;
  bool ok = false;
  std::string message;  ///< why not
};
struct VisitClosed {
  VisitId visit;
  LedgerRow row;
};
// ---- between agent and orchestrator
struct Configure {            ///< the first order: what this agent's workers are; answered by AgentHello
  std::string device;         ///< auto, cpu or cuda
  std::uint32_t workers = 0;  ///< 0: as many as the node's devices, or cores and memory, allow
  std::uint32_t cpu_threads = 1;
  std::uint64_t memory_limit_bytes = 0, bytes_per_worker = 0;
  std::string log_folder;
  double orphan_s = 150;                       ///< so long without a word of rank 0, the agent leaves
  double probe_s = 600;                        ///< how long the worker binary may take to say what devices there are
  std::vector<std::string> module_paths = {};  ///< of each module, by number: is it here? "": it needs none
  std::vector<Program> guests = {};            ///< programs 1, 2, ...
};
struct StartWorker {  ///< incarnation: which start of this slot; a report of an older one is stale
  std::uint32_t slot = 0, incarnation = 0;
  Occupant occupant = {};
};
struct KillWorker {
  std::uint32_t slot = 0;
};
struct ToWorkers {
  std::vector<std::uint32_t> slots;  ///< of this node
  std::string frame;                 ///< an encoded WorkerOrder, the same for each
};
struct ShareMemory {  ///< make common memory for a gang of this node's workers; each gets it with GangMemory
  VisitId visit;
  std::vector<std::uint32_t> slots;
};
struct LackingModule {
  ModuleId module;
  std::string why;
};
struct AgentHello {
  std::string host;
  std::uint32_t slots = 0;
  DeviceFacts facts;
  std::vector<LackingModule> lacking = {};  ///< modules whose files this node has not got
};
struct FromWorker {
  std::uint32_t slot = 0, incarnation = 0;
  std::string frame;  ///< an encoded WorkerReport
};
struct Measured {  ///< a guest's visit, from outside: before its VisitClosed, or before its WorkerExited
  std::uint32_t slot = 0, incarnation = 0;
  VisitId visit;
  OutsideMeasures measures;
};
/// Who ended a worker. `outside`: a SIGKILL that neither its agent nor the kernel's out-of-memory killer sent.
enum class EndedBy { itself, order, outside };
struct WorkerExited {
  std::uint32_t slot = 0, incarnation = 0;
  EndedBy by = EndedBy::itself;
  std::string how;  ///< "signal 9 (Killed)", "exit code 1"
};
struct AgentFailed {  ///< this node cannot take part, or cannot go on
  std::string host, fault, message;
  bool disk = false;  ///< for want of disk space, or by an I/O error: the run stops, resumable
};
struct LeaveNode {       ///< the last order: stop the workers, answer AgentLeft
  bool at_once = false;  ///< do not let shards in hand finish
};
struct AgentLeft {
  bool operator==(const AgentLeft&) const = default;
};
struct Heartbeat {  ///< each second, with the news that was held back meanwhile
  std::uint64_t beat = 0;
  std::vector<FromWorker> progress;  ///< the latest Progress of each worker, if it is newer than the last sent
};
struct OrchestratorBeat {  ///< each second: rank 0 lives
  bool operator==(const OrchestratorBeat&) const = default;
};
struct DrainAsked {  ///< a signal reached some rank; rank 0 alone decides
  int signal = 0;
};

using WorkerOrder = std::variant<GangMemory, OpenVisit, JoinGang, RunShard, CloseVisit, TearDown, AbortVisit, Leave>;
using WorkerReport = std::variant<WorkerReady, Progress, Waiting, GangAddress, VisitOpened, OpenFailed, ShardAnswered,
                                  ShardFailed, Quiesced, VisitClosed>;
using AgentOrder =
    std::variant<Configure, StartWorker, KillWorker, ToWorkers, ShareMemory, LeaveNode, OrchestratorBeat>;
using AgentReport =
    std::variant<AgentHello, AgentFailed, FromWorker, WorkerExited, Heartbeat, DrainAsked, AgentLeft, Measured>;

/// MessagePack of {"t": kind, "b": body}; the decoders throw Error(internal) naming what is wrong with the bytes.
std::string encode(const WorkerOrder& order);
/// Of an encoded WorkerReport, without decoding it.
bool is_progress(std::string_view bytes);
/// The visit that an encoded order opens, or that an encoded report closes; nothing of any other message.
std::optional<VisitId> opened_by(std::string_view order);
std::optional<VisitId> closed_by(std::string_view report);
std::string encode(const WorkerReport& report);
std::string encode(const AgentOrder& order);
std::string encode(const AgentReport& report);
WorkerOrder decode_worker_order(std::string_view bytes);
WorkerReport decode_worker_report(std::string_view bytes);
AgentOrder decode_agent_order(std::string_view bytes);
AgentReport decode_agent_report(std::string_view bytes);

}  // namespace proctor
