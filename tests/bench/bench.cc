// Where rank 0 and the tokenizer spend their time: planner, schedule, wire, tokenizer, run store.
#include <benchmark/benchmark.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "orchestrator/store/run_store.h"
#include "orchestrator/store/store_thread.h"
#include "sharding/conductor/conductor.h"
#include "worker/tokenizer/tokenizer.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

ModelFacts facts() {
  ModelFacts out;
  out.parameters = 135'000'000;
  out.layers = 30;
  out.heads = 9;
  out.head_dim = 64;
  return out;
}

void plan_a_million_requests(benchmark::State& state) {
  std::vector<Request> requests;
  std::vector<std::uint32_t> bundles;
  for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(state.range(0)); ++i) {
    if (i % 4 == 0) bundles.push_back(i);
    requests.push_back(
        {{"question number " + std::to_string(i / 4 * 7919 % 250'000), " choice " + std::to_string(i % 4)},
         Loglikelihood{}});
  }
  for (auto _ : state)
    benchmark::DoNotOptimize(plan_cell({ModuleId{0}, TaskId{0}, requests, bundles}, facts(), shard_target("cpu")));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(plan_a_million_requests)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

/// A Executor to nowhere: the cost of deciding alone.
class NowhereExecutor : public Executor {
 public:
  void start(SlotId, std::uint32_t, Occupant) override {}
  void kill(SlotId) override {}
  void open(std::span<const SlotId> members, VisitId visit, ModuleId) override { opened[members[0]] = visit; }
  void join(SlotId, VisitId, const std::string&) override {}
  void assign(std::span<const SlotId> members, const Assignment& assignment) override {
    last = assignment.shard;
    turns[members[0]] = assignment;
  }
  void close(std::span<const SlotId>, VisitId) override {}
  void tear_down(std::span<const SlotId>, VisitId) override {}
  void abort(std::span<const SlotId>, VisitId, const std::string&) override {}
  void store(ShardId, std::vector<Response>) override {}
  void give_up(ShardId, std::vector<Response>) override {}
  void store_overrides(ShardId, const ShardOverrides&) override {}
  void record(const LedgerEntry&) override {}
  void warn(const std::string&) override {}
  ShardId last;
  std::map<SlotId, VisitId> opened;
  std::map<SlotId, Assignment> turns;
};

void remove_database(const fs::path& path) {
  fs::remove(path);
  fs::remove(path.string() + "-journal");
}

/// Rank 0's share of a shard (answered, durable, the next one handed out) with so many gangs of one device.
void schedule_per_shard(benchmark::State& state) {
  constexpr std::uint32_t kOfNode = 8;
  const auto gangs = static_cast<std::uint32_t>(state.range(0)), rounds = std::max(10u, 10'000 / gangs);
  const std::vector<Shard> shards(gangs * rounds, Shard{ModuleId{0}, TaskId{0}, {0}, 1, 1});
  for (auto _ : state) {
    state.PauseTiming();
    NowhereExecutor executor;
    Conductor conductor({Deadlines{}, 0, VisitId{1}, {"m"}, Reach::node}, {ModuleOutlook{1, 1, 1e-6}}, shards,
                        executor);
    for (std::uint32_t n = 0; n < (gangs + kOfNode - 1) / kOfNode; ++n)
      conductor.on_agent(AgentId{n}, "n", std::min(kOfNode, gangs), Moment(0));
    const auto slot_of = [&](std::uint32_t gang) { return SlotId{AgentId{gang / kOfNode}, gang % kOfNode}; };
    for (std::uint32_t g = 0; g < gangs; ++g) conductor.on_report(slot_of(g), 1, WorkerReady{}, Moment(0));
    for (std::uint32_t g = 0; g < gangs; ++g)
      conductor.on_report(slot_of(g), 1, VisitOpened{executor.opened.at(slot_of(g)), 0}, Moment(0));
    state.ResumeTiming();
    for (std::uint32_t i = 0; i < gangs * rounds; ++i) {
      const SlotId slot = slot_of(i % gangs);
      const Assignment assignment = executor.turns.at(slot);
      conductor.on_report(slot, 1, ShardAnswered{assignment.visit, assignment.shard, 1, std::vector<Response>(1), 1, 1},
                          Moment(0));
      conductor.on_stored(assignment.shard, Moment(0));
    }
    if (conductor.unstored() > 0) return state.SkipWithError("shards are left");
  }
  state.SetItemsProcessed(state.iterations() * gangs * rounds);
}
BENCHMARK(schedule_per_shard)->Arg(1)->Arg(4096)->ArgName("gangs")->Unit(benchmark::kMillisecond);

/// A Executor to nowhere whose rows go to a real journal: an attempt and an answer of some 1 KB for each shard.
class JournalExecutor final : public NowhereExecutor {
 public:
  JournalExecutor(StoreThread& thread, const std::vector<std::string>& keys) : thread_(thread), keys_(keys) {}
  void assign(std::span<const SlotId> members, const Assignment& assignment) override {
    NowhereExecutor::assign(members, assignment);
    thread_.put({StoreRow::Table::log, "attempt", keys_[assignment.shard.value], "1 1", std::nullopt});
  }
  void store(ShardId shard, std::vector<Response> responses) override {
    thread_.put({StoreRow::Table::log, "answer", keys_[shard.value], encode_responses(responses), shard});
  }

 private:
  StoreThread& thread_;
  const std::vector<std::string>& keys_;
};

/// CPU time of the whole process (deciding, encoding, SQLite, the kernel's part of its writes) for each shard.
void rank_0_per_shard_with_journal(benchmark::State& state) {
  const auto count = static_cast<std::uint32_t>(state.range(0));
  const std::vector<Shard> shards(count, Shard{ModuleId{0}, TaskId{0}, {0}, 1});
  std::vector<std::string> keys;
  for (std::uint32_t i = 0; i < count; ++i) keys.push_back("0123456789" + std::to_string(100000 + i));
  const std::vector<Response> blob(1, Response{GenerateAnswer{std::string(1000, 'r'), 250, {}, 0}, ""});
  const fs::path path = fs::temp_directory_path() / ("proctor-bench-journal-" + std::to_string(::getpid()) + ".db");
  for (auto _ : state) {
    state.PauseTiming();
    remove_database(path);
    RunStore store(path.string());
    StoreThread thread(store);
    JournalExecutor executor(thread, keys);
    Conductor conductor({Deadlines{}, 0, VisitId{1}, {"m"}, Reach::node}, {ModuleOutlook{}}, shards, executor);
    conductor.on_agent(AgentId{0}, "n", 1, Moment(0));
    conductor.on_report({AgentId{0}, 0}, 1, WorkerReady{}, Moment(0));
    state.ResumeTiming();
    conductor.on_report({AgentId{0}, 0}, 1, VisitOpened{VisitId{1}, 0}, Moment(0));
    for (std::uint32_t i = 0; i < count; ++i) {
      conductor.on_report({AgentId{0}, 0}, 1, ShardAnswered{VisitId{1}, executor.last, 1, blob, 1, 1}, Moment(0));
      if (i % 100 == 0)
        for (ShardId shard : thread.acknowledged()) conductor.on_stored(shard, Moment(0));
    }
    thread.stop();
    for (ShardId shard : thread.acknowledged()) conductor.on_stored(shard, Moment(0));
    if (conductor.unstored() != 0) state.SkipWithError("some shards are not stored");
  }
  remove_database(path);
  state.counters["us_per_shard"] = benchmark::Counter(static_cast<double>(state.iterations()) * count * 1e-6,
                                                      benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.SetItemsProcessed(state.iterations() * count);
}
BENCHMARK(rank_0_per_shard_with_journal)
    ->Arg(10'000)
    ->Arg(1'000'000)
    ->Iterations(1)
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kSecond);

void wire_round_trip(benchmark::State& state) {
  RunShard order{VisitId{1}, ShardId{2}, 1, 2048, {}, {}, {}, 60, {}, {}};
  for (int i = 0; i < 32; ++i) order.requests.push_back({{std::string(400, 'q'), " choice"}, Loglikelihood{}});
  for (auto _ : state) benchmark::DoNotOptimize(decode_worker_order(encode(WorkerOrder(order))));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(wire_round_trip)->Unit(benchmark::kMicrosecond);

void run_store_shards(benchmark::State& state) {
  const fs::path path = fs::temp_directory_path() / ("proctor-bench-" + std::to_string(::getpid()) + ".db");
  remove_database(path);
  std::uint64_t key = 0;
  {
    RunStore store(path.string());
    const std::string payload(1000, 'p');
    for (auto _ : state) {
      store.begin();
      for (std::int64_t i = 0; i < state.range(0); ++i) store.append("answer", std::to_string(++key), payload);
      store.commit();
    }
  }
  remove_database(path);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(run_store_shards)->Arg(1)->Arg(100)->Unit(benchmark::kMillisecond);

std::string read(const fs::path& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  std::string text;
  char buffer[65536];
  for (int n = 0; file && (n = gzread(file, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  if (file) gzclose(file);
  return text;
}

void tokenize_english(benchmark::State& state) {
  const fs::path data = PROCTOR_TEST_DATA;
  const std::string text = read(data / "wikitext2" / "test.txt");
  if (text.empty()) return state.SkipWithError("no wikitext2");
  const auto json = nlohmann::json::parse(read(data / "tokenizers" / "llama3_1" / "tokenizer.json.gz"));
  for (auto _ : state) {
    state.PauseTiming();
    Tokenizer tokenizer(json, "llama3_1");  // anew each time: its word cache begins empty
    state.ResumeTiming();
    for (std::size_t at = 0; at < text.size();) {  // paragraph by paragraph, as documents come
      const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
      benchmark::DoNotOptimize(tokenizer.encode(std::string_view(text).substr(at, end - at), Special::add));
      at = end;
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(tokenize_english)->Iterations(3)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace proctor
