// What the worker does between and after batches: loading and tearing down a module, emptying caches, adding up over a
// gang. Figures: docs/performance.md. The model: $PROCTOR_BENCH_MODEL, or what tools/demo made; skipped without one.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <benchmark/benchmark.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "sharding/protocol/gang_memory.h"
#include "worker/checkpoint/families.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/checkpoint/safetensors.h"
#include "worker/device/host_memory.h"
#include "worker/kinds/kinds.h"
#include "worker/models/row_parallel.h"
#include "worker/visit/teardown.h"

namespace proctor {
namespace {

const Announce kQuiet = [](const ProgressUnit&) {};

std::string model() {
  const char* given = std::getenv("PROCTOR_BENCH_MODEL");
  return given ? given : PROCTOR_SOURCE "/models/smollm2-135m-instruct";
}

/// False, and the benchmark skipped, where there is no model.
bool has_model(benchmark::State& state) {
  if (std::filesystem::exists(model() + "/config.json")) return true;
  state.SkipWithError("no model: run tools/demo once, or set PROCTOR_BENCH_MODEL");
  return false;
}

Module module_of(benchmark::State& state) {
  Module module;
  module.path = model();
  module.dtype = state.range(0) == 16 ? DType::bfloat16 : DType::float32;
  return module;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// Load and teardown, as between two modules, thirty times.
void switch_module(benchmark::State& state) {
  if (!has_model(state)) return;
  install_counting_allocator(0);
  const auto device = make_cpu_device();
  const Module module = module_of(state);
  std::vector<double> load, teardown;
  for (auto _ : state) {
    const Baseline before = measure_baseline(*device, true);
    Gang gang{make_solo_communicator(), nullptr};
    const auto begin = std::chrono::steady_clock::now();
    gang.module = find_kind("generator").open(module, *device, *gang.communicator, kQuiet);
    load.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    const TornDown down = tear_down(gang, *device, before, Path::orderly, std::chrono::seconds(30), kQuiet);
    teardown.push_back(down.measures.teardown_s);
  }
  state.counters["median_load_s"] = median(load);
  state.counters["median_teardown_s"] = median(teardown);
}
BENCHMARK(switch_module)->Arg(32)->Arg(16)->ArgName("bits")->Iterations(30)->Unit(benchmark::kMillisecond);

/// The yardstick: the same bytes read in pieces and converted in a plain loop, into memory that is new each time as a
/// module's is.
void read_and_convert(benchmark::State& state) {
  if (!has_model(state)) return;
  const Checkpoint checkpoint(model());
  const auto sources = decoder_weight_sources(read_model_folder(model()).decoder);
  const bool narrow = state.range(0) == 16;
  std::vector<std::byte> piece(1 << 20);
  std::vector<double> seconds;
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    for (const WeightSource& source : sources) {
      const auto [file, entry] = checkpoint.find(source.tensor);
      const std::uint64_t size = dtype_bytes(entry->dtype), elements = (entry->end - entry->begin) / size;
      const at::Tensor target = at::empty({static_cast<std::int64_t>(elements)}, narrow ? at::kBFloat16 : at::kFloat);
      for (std::uint64_t done = 0; done < elements;) {
        const std::uint64_t count = std::min(piece.size() / size, elements - done);
        file->read(entry->begin + done * size, count * size, piece.data());
        const auto* floats = reinterpret_cast<const float*>(piece.data());
        const auto* halves = reinterpret_cast<const c10::BFloat16*>(piece.data());
        for (std::uint64_t i = 0; i < count; ++i) {
          const float value = size == 4 ? floats[i] : static_cast<float>(halves[i]);
          if (narrow)
            target.data_ptr<c10::BFloat16>()[done + i] = value;
          else
            target.data_ptr<float>()[done + i] = value;
        }
        done += count;
      }
    }
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  state.counters["median_s"] = median(seconds);
}
BENCHMARK(read_and_convert)->Arg(32)->Arg(16)->ArgName("bits")->Iterations(9)->Unit(benchmark::kMillisecond);

/// Rolling windows of 2,048 tokens, all scored: the time of the model's own products alone at the batch's size, for the
/// FLOPs that the windows need, over the time they take. One thread.
void share_of_the_limit(benchmark::State& state) {
  if (!has_model(state)) return;
  constexpr std::int64_t kWindow = 2048;
  install_counting_allocator(0);
  at::set_num_threads(1);
  const auto device = make_cpu_device();
  Module module = module_of(state);
  module.max_length = kWindow;
  const auto gang = make_solo_communicator();
  const auto open = find_kind("generator").open(module, *device, *gang, kQuiet);
  std::string text;
  for (int i = 0; text.size() < 40000; ++i)
    text += "Line " + std::to_string(i * 7919) + " of a page says nothing new. ";
  const std::vector<Request> requests = {{{text}, LoglikelihoodRolling{}}};
  BatchCleanup cleanup({}, *device);
  double seconds = 0;
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    open->run({requests, kWindow}, cleanup, kQuiet);
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  const double flops = open->computed().flops, limit = open->seconds_of_products();
  state.counters["GFLOP/s"] = flops / seconds / 1e9;
  state.counters["products_GFLOP/s"] = flops / limit / 1e9;
  state.counters["share_%"] = 100 * limit / seconds;
}
BENCHMARK(share_of_the_limit)->Arg(32)->Arg(16)->ArgName("bits")->Iterations(2)->Unit(benchmark::kMillisecond);

/// The products of a decoding step of SmolLM2-135M, one thread: skinny_gemm.h's beside the library's, weights in memory
/// once each as a model's are.
void products_of_a_step(benchmark::State& state, Products products) {
  at::set_num_threads(1);
  const at::NoGradGuard no_grad;
  constexpr std::int64_t kLayers = 30, kHidden = 576, kInner = 1536, kVocabulary = 49152;
  const auto weight = [](std::int64_t outputs, std::int64_t inputs) { return at::randn({outputs, inputs}); };
  std::vector<at::Tensor> weights;
  for (std::int64_t i = 0; i < kLayers; ++i)
    for (const auto& [outputs, inputs] :
         {std::pair{kHidden + 384, kHidden}, {kHidden, kHidden}, {2 * kInner, kHidden}, {kHidden, kInner}})
      weights.push_back(weight(outputs, inputs));
  weights.push_back(weight(kVocabulary, kHidden));
  const at::Tensor narrow = at::randn({state.range(0), kHidden}), wide = at::randn({state.range(0), kInner});
  for (auto _ : state)
    for (const at::Tensor& w : weights)
      benchmark::DoNotOptimize(linear(w.size(1) == kHidden ? narrow : wide, w, {}, products));
}
void numbers_of_rows(benchmark::internal::Benchmark* bench) {
  for (const int rows : {1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 64}) bench->Arg(rows);
  bench->ArgName("rows")->Unit(benchmark::kMillisecond);
}
BENCHMARK_CAPTURE(products_of_a_step, packed, Products::packed)->Apply(numbers_of_rows);
BENCHMARK_CAPTURE(products_of_a_step, streamed, Products::streamed)->Apply(numbers_of_rows);

/// What a per-batch cleanup policy costs beside the batches: `share` is cleanup seconds over all.
void batches_under_policy(benchmark::State& state, Cleanup::Policy policy) {
  if (!has_model(state)) return;
  install_counting_allocator(0);
  const auto device = make_cpu_device();
  Module module;
  module.path = model();
  const auto gang = make_solo_communicator();
  const auto open = find_kind("generator").open(module, *device, *gang, kQuiet);
  std::vector<Request> requests;
  for (int i = 0; i < 24; ++i)
    requests.push_back({{"question number " + std::to_string(i) + " is about the capital of a country",
                         " and choice " + std::to_string(i) + " answers it"},
                        Loglikelihood{}});
  BatchCleanup cleanup({policy, 0.2, 1, 0}, *device);
  double all = 0;
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    open->run({requests, 64}, cleanup, kQuiet);
    all += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  state.counters["batches"] = static_cast<double>(cleanup.batches());
  state.counters["cleanups"] = static_cast<double>(cleanup.cleanups());
  state.counters["share_%"] = 100 * cleanup.seconds() / all;
}
BENCHMARK_CAPTURE(batches_under_policy, never, Cleanup::Policy::never)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(batches_under_policy, watermark, Cleanup::Policy::watermark)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(batches_under_policy, always, Cleanup::Policy::always)->Unit(benchmark::kMillisecond)->UseRealTime();

/// Two members, one core each: float32 sums of this many KiB.
void add_up_in_a_gang(benchmark::State& state) {
  const Descriptor memory(::memfd_create("bench", MFD_CLOEXEC));
  if (::ftruncate(memory.value(), static_cast<off_t>(gang_memory_bytes(2))) != 0) return state.SkipWithError("memfd");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::hours(1);
  const std::int64_t elements = state.range(0) * 256;
  std::atomic<bool> more = true;
  std::thread other([&] {
    const auto gang = make_shared_memory_communicator(memory, 1, 2);
    gang->join(deadline);
    at::Tensor mine = at::full({elements}, 1.0, at::kFloat);
    do gang->all_reduce(mine.fill_(1.0));
    while (gang->agree(more ? StepEnd::done : StepEnd::failed) == StepEnd::done);
  });
  const auto gang = make_shared_memory_communicator(memory, 0, 2);
  gang->join(deadline);
  at::Tensor mine = at::full({elements}, 1.0, at::kFloat);
  for (auto _ : state) {
    gang->all_reduce(mine.fill_(1.0));
    (void)gang->agree(StepEnd::done);
  }
  more = false;
  try {
    gang->all_reduce(mine);
  } catch (const StepAbandoned&) {  // the other one was quick to say so
  }
  (void)gang->agree(StepEnd::done);
  other.join();
  state.SetBytesProcessed(state.iterations() * elements * 4);
}
BENCHMARK(add_up_in_a_gang)->Arg(4)->Arg(1024)->Arg(4608)->ArgName("KiB")->Unit(benchmark::kMicrosecond)->UseRealTime();

}  // namespace
}  // namespace proctor
