// What needs a GPU (label gpu; tools/gpu_check). Each test skips itself, visibly, where there is none. Members of a
// gang are processes: this binary starts itself again with PROCTOR_GPU_MEMBER set.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "sharding/conductor/visit.h"
#include "tests/worker/support/goldens.h"
#include "tests/worker/support/tolerance.h"
#include "worker/communicator/communicator_nccl.h"
#include "worker/device/probe.h"
#include "worker/visit/teardown.h"

extern char** environ;

namespace proctor {
namespace {

namespace fs = std::filesystem;
const std::vector<std::string> kModels = {"llama",          "llama_tied_linear", "llama_biases_llama3",
                                          "mistral_window", "qwen2_window",      "qwen3"};

bool has_gpu() { return fs::exists("/dev/nvidiactl"); }

std::vector<Request> requests() {
  std::vector<Request> all;
  for (int i = 0; i < 9; ++i)
    all.push_back({{"a question that is shared, number " + std::to_string(i / 3), " choice " + std::to_string(i)},
                   Loglikelihood{}});
  all.push_back({{"go on"}, Generate{{"\x01"}, 8}});
  return all;
}

Gang open_gang(const std::string& model, Device& device, DType dtype,
               std::shared_ptr<Communicator> communicator = make_solo_communicator(),
               const std::string& kind = "generator") {
  Module module;
  module.kind = kind;
  module.path = tiny_model(model);
  module.dtype = dtype;
  Gang gang{std::move(communicator), nullptr};
  gang.module = find_kind(kind).open(module, device, *gang.communicator, kQuiet);
  return gang;
}

std::vector<Response> answer(Gang& gang, Device& device) {
  BatchCleanup cleanup({}, device);
  return gang.module->run({requests(), 256}, cleanup, kQuiet);
}

class Gpu : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_gpu()) GTEST_SKIP() << "no GPU: not run";
    device_ = make_device(DeviceChoice::cuda, 0);
  }
  std::unique_ptr<Device> device_;
};

TEST_F(Gpu, fifty_visits_bring_the_memory_back_to_its_baseline) {
  Baseline before = measure_baseline(*device_, false);
  for (int visit = 0; visit < 50; ++visit) {
    device_->reset_peak();
    Gang gang = open_gang(visit % 2 ? "qwen3" : "llama", *device_, visit % 2 ? DType::bfloat16 : DType::float32);
    answer(gang, *device_);
    LedgerRow row;
    EXPECT_EQ(quiesce(gang, *device_), "");
    row.set(tear_down(gang, *device_, before, Path::orderly, std::chrono::seconds(30), kQuiet).measures);
    EXPECT_GT(row.allocated_peak, row.allocated_before);
    const auto unclean = find_residue(row, 16u << 20);
    EXPECT_FALSE(unclean) << "visit " << visit << ": " << unclean->text;
    if (visit == 0) before = measure_baseline(*device_, true);
  }
}

TEST_F(Gpu, workspaces_of_cublas_count_as_allocated_until_they_are_cleared) {
  device_->clear_workspaces();
  device_->empty_cache();
  const std::uint64_t before = device_->memory().allocated_bytes;
  {
    const at::Tensor a = at::randn({512, 512}, at::TensorOptions().device(device_->torch()));
    (void)at::matmul(a, a);
  }
  device_->synchronize();
  EXPECT_GT(device_->memory().allocated_bytes, before);
  device_->clear_workspaces();
  device_->empty_cache();
  EXPECT_EQ(device_->memory().allocated_bytes, before);
}

TEST_F(Gpu, out_of_memory_is_the_typed_error_and_the_device_goes_on) {
  const auto bytes = static_cast<std::int64_t>(device_->memory().total_bytes) * 2;
  EXPECT_THROW(at::empty({bytes}, at::TensorOptions().dtype(at::kByte).device(device_->torch())),
               c10::OutOfMemoryError);
  EXPECT_TRUE(device_->healthy());
  EXPECT_EQ(at::full({4}, 1.0, at::TensorOptions().device(device_->torch())).sum().item<float>(), 4.0f);
}

TEST_F(Gpu, scores_are_the_cpus_to_rounding_in_float32_and_near_in_bfloat16) {
  const auto cpu = make_cpu_device();
  for (const std::string& model : kModels)
    for (const auto& [dtype, type] :
         {std::pair(DType::float32, at::kFloat), std::pair(DType::bfloat16, at::kBFloat16)}) {
      Gang here = open_gang(model, *device_, dtype), there = open_gang(model, *cpu, DType::float32);
      const auto got = answer(here, *device_), expected = answer(there, *cpu);
      for (std::size_t i = 0; i + 1 < expected.size(); ++i)
        EXPECT_NEAR(log_likelihood(got[i]), log_likelihood(expected[i]),
                    rounding_of_log_probability(tokens(expected[i]), type))
            << model << " " << i;
    }
}

TEST_F(Gpu, vectors_and_pair_scores_are_the_cpus_to_rounding) {
  const auto cpu = make_cpu_device();
  const auto run = [](const std::string& model, const std::string& kind, Device& device) {
    const Gang gang = open_gang(model, device, DType::float32, make_solo_communicator(), kind);
    std::vector<Request> all;
    for (const std::string text : {"one", "a longer text than the one before it", "two", "another of those"})
      all.push_back(kind == "embedding" ? Request{{text}, Embed{}} : Request{{"what is asked", text}, ScorePair{}});
    BatchCleanup cleanup({}, device);
    return gang.module->run({all, 256}, cleanup, kQuiet);
  };
  const auto floats = [](const Answer& answer) {
    if (const auto* pair = std::get_if<ScorePairAnswer>(&answer))
      return std::vector<float>{static_cast<float>(pair->score)};
    return std::get<EmbedAnswer>(answer).vector;
  };
  for (const auto& [model, kind] :
       {std::pair("bert", "embedding"), std::pair("roberta", "embedding"), std::pair("bert_pairs", "cross_encoder"),
        std::pair("roberta_pairs", "cross_encoder")}) {
    const auto got = run(model, kind, *device_), expected = run(model, kind, *cpu);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(got[i].error, "");
      const auto a = floats(got[i].answer), b = floats(expected[i].answer);
      ASSERT_EQ(a.size(), b.size());
      for (std::size_t j = 0; j < a.size(); ++j) EXPECT_NEAR(a[j], b[j], 1e-4) << model << " " << i;
    }
  }
}

/// tests/worker/kinds/rerank_test.cc on the CPU.
TEST_F(Gpu, every_reranking_kind_scores_as_its_reference) {
  const nlohmann::json goldens = proctor::goldens("rerank_goldens.json");
  const std::vector<Request> pairs = pairs_of(goldens);
  for (const auto& golden : goldens["cases"]) {
    const Module module = module_of(golden);
    const auto solo = make_solo_communicator();
    BatchCleanup cleanup({}, *device_);
    const auto open = find_kind(module.kind).open(module, *device_, *solo, kQuiet);
    const auto got = open->run({pairs, 256}, cleanup, kQuiet);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      ASSERT_EQ(got[i].error, "");
      EXPECT_NEAR(std::get<ScorePairAnswer>(got[i].answer).score, golden["scores"][i].get<double>(), 1e-4)
          << golden["kind"] << " " << i;
    }
  }
}

// ---- two ranks on one GPU

/// Starts this binary as a member. NCCL_HOSTID makes NCCL take the members for two hosts, so that it lets them share
/// the device.
pid_t start_member(int rank, const std::string& mode, const fs::path& address) {
  std::vector<std::string> environment = {"PROCTOR_GPU_MEMBER=" + std::to_string(rank),
                                          "PROCTOR_GPU_MODE=" + mode,
                                          "PROCTOR_GPU_ADDRESS=" + address.string(),
                                          "NCCL_HOSTID=host" + std::to_string(rank),
                                          "NCCL_SOCKET_IFNAME=lo",
                                          "NCCL_IB_DISABLE=1",
                                          "NCCL_MAX_CTAS=2"};
  for (char** entry = environ; *entry; ++entry) environment.emplace_back(*entry);
  std::vector<char*> pointers;
  for (std::string& entry : environment) pointers.push_back(entry.data());
  pointers.push_back(nullptr);
  std::string self = fs::read_symlink("/proc/self/exe").string();
  char* arguments[] = {self.data(), nullptr};
  pid_t pid = -1;
  EXPECT_EQ(posix_spawn(&pid, self.c_str(), nullptr, nullptr, arguments, pointers.data()), 0);
  return pid;
}

/// Exit codes of two members in this mode.
std::vector<int> run_members(const std::string& mode) {
  const fs::path address = fs::temp_directory_path() / ("proctor-gpu-" + mode + "-" + std::to_string(::getpid()));
  fs::remove(address);
  const pid_t members[] = {start_member(0, mode, address), start_member(1, mode, address)};
  std::vector<int> codes;
  for (const pid_t member : members) {
    int status = 0;
    waitpid(member, &status, 0);
    codes.push_back(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
  fs::remove(address);
  return codes;
}

TEST_F(Gpu, two_ranks_share_it_and_a_gang_scores_as_one_worker_does) {
  EXPECT_EQ(run_members("score"), (std::vector<int>{0, 0}));
}

TEST_F(Gpu, a_member_whose_peer_died_is_freed_by_an_abort_from_another_thread) {
  EXPECT_EQ(run_members("abort"), (std::vector<int>{0, 9}));
}

// ---- a member's side

std::string exchange_address(int rank, const fs::path& file) {
  if (rank == 0) {
    const std::string address = make_nccl_address(nccl_library());
    std::ofstream(file.string() + ".part") << address;
    fs::rename(file.string() + ".part", file);
    return address;
  }
  for (const Deadline until = after(std::chrono::seconds(60)); std::chrono::steady_clock::now() < until;) {
    std::string address;
    if (std::ifstream(file) >> address) return address;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  throw GangError("member 0 wrote no address");
}

int score_together(Device& device, const std::shared_ptr<Communicator>& communicator) {
  at::Tensor sum = at::full({1000}, 1.0 + communicator->rank(), at::TensorOptions().device(device.torch()));
  communicator->all_reduce(sum);
  if (!sum.eq(3.0).all().item<bool>()) return 3;
  const Baseline before = measure_baseline(device, false);
  Gang alone = open_gang("llama", device, DType::float32),
       gang = open_gang("llama", device, DType::float32, communicator);
  const auto expected = answer(alone, device), got = answer(gang, device);
  for (std::size_t i = 0; i + 1 < expected.size(); ++i)
    if (std::abs(log_likelihood(got[i]) - log_likelihood(expected[i])) > 2e-4) return 4;
  alone.module.reset();
  const TornDown down = tear_down(gang, device, before, Path::orderly, std::chrono::seconds(90), kQuiet);
  if (down.aftermath != Aftermath::measured) return 5;
  return down.measures.communicators_left == 0 ? 0 : 6;
}

int lose_a_peer(Device& device, const std::shared_ptr<Communicator>& communicator) {
  if (communicator->rank() == 1) _exit(9);
  std::thread reader([&] { communicator->abort(); });
  bool freed = false;
  try {
    at::Tensor sum = at::full({1000}, 1.0, at::TensorOptions().device(device.torch()));
    communicator->all_reduce(sum);
    device.synchronize();
  } catch (const std::exception&) {
    freed = true;
  }
  reader.join();
  std::fprintf(stderr, "freed by %s\n", freed ? "an error" : "the end of its kernel");
  return 0;
}

int run_as_member(int rank) try {
  const auto device = make_device(DeviceChoice::cuda, 0);
  const std::string address = exchange_address(rank, std::getenv("PROCTOR_GPU_ADDRESS"));
  const std::shared_ptr<Communicator> communicator =
      make_nccl_communicator(nccl_library(), address, static_cast<std::uint32_t>(rank), 2, device->torch());
  communicator->join(after(std::chrono::seconds(120)));
  const bool score = std::string(std::getenv("PROCTOR_GPU_MODE")) == "score";
  return score ? score_together(*device, communicator) : lose_a_peer(*device, communicator);
} catch (const std::exception& error) {
  std::fprintf(stderr, "member %d: %s\n", rank, error.what());
  return 1;
}

}  // namespace
}  // namespace proctor

int main(int argc, char** argv) {
  if (proctor::has_gpu()) proctor::open_cuda_half();  // before the first torch call
  if (const char* rank = std::getenv("PROCTOR_GPU_MEMBER")) _exit(proctor::run_as_member(std::atoi(rank)));
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
