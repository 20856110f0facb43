// A gang's answers are those of one worker, to rounding, for every family; each member reads its part and no more.
#include "worker/checkpoint/tensor_parallel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "sharding/planning/tensor_parallel.h"
#include "tests/worker/support/fake_nccl.h"
#include "tests/worker/support/goldens.h"
#include "tests/worker/support/members.h"
#include "tests/worker/support/tolerance.h"
#include "worker/checkpoint/families.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/communicator/communicator_nccl.h"
#include "worker/kinds/kinds.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
const std::vector<std::string> kFamilies = {"llama",          "llama_tied_linear", "llama_biases_llama3",
                                            "mistral_window", "qwen2_window",      "qwen3"};
std::string folder(const std::string& model) { return (fs::path(PROCTOR_TINY_MODELS) / model).string(); }

std::vector<Request> requests() {
  std::vector<Request> all;
  for (int i = 0; i < 9; ++i)
    all.push_back({{"a question that is shared, number " + std::to_string(i / 3), " choice " + std::to_string(i)},
                   Loglikelihood{}});
  all.push_back(
      {{"a text of more than sixty-four bytes, so that it takes two windows of the model."}, LoglikelihoodRolling{}});
  for (const char* prompt : {"go on", "and a longer one that goes on"})
    all.push_back({{prompt}, Generate{{"\x01"}, 8}});
  return all;
}

struct Answers {
  std::vector<Response> responses;
  std::uint64_t bytes_read = 0;
};

Answers answer(const std::string& model, Communicator& gang, DType dtype = DType::float32) {
  const auto device = make_cpu_device();
  Module module;
  module.path = folder(model);
  module.dtype = dtype;
  const auto open = find_kind("generator").open(module, *device, gang, kQuiet);
  BatchCleanup cleanup({}, *device);
  return {open->run({requests(), 256}, cleanup, kQuiet), open->bytes_read()};
}

/// Every member's answers; they must be the same.
std::vector<Answers> answer_together(const std::string& model, std::uint32_t size, DType dtype = DType::float32) {
  std::vector<Answers> all(size);
  expect_well(Members(size).run([&](Communicator& gang) { all[gang.rank()] = answer(model, gang, dtype); }));
  for (const Answers& member : all) EXPECT_EQ(member.responses, all[0].responses) << model;
  return all;
}

void expect_near(const std::vector<Response>& got, const std::vector<Response>& expected, const std::string& where) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(got[i].error, expected[i].error) << where;
    if (std::holds_alternative<GenerateAnswer>(expected[i].answer)) {
      EXPECT_EQ(got[i].answer, expected[i].answer) << where;
      continue;
    }
    EXPECT_NEAR(log_likelihood(got[i]), log_likelihood(expected[i]), rounding_of_log_probability(tokens(expected[i])))
        << where << " " << i;
    EXPECT_EQ(tokens(got[i]), tokens(expected[i])) << where << " " << i;
    const auto* scored = std::get_if<LoglikelihoodAnswer>(&expected[i].answer);
    EXPECT_TRUE(!scored || std::get<LoglikelihoodAnswer>(got[i].answer).is_greedy == scored->is_greedy)
        << where << " " << i;
  }
}

TEST(TensorParallel, every_family_answers_alike_at_1_2_3_and_4) {
  const auto solo = make_solo_communicator();
  for (const std::string& family : kFamilies)
    for (const char* kv_heads : {"-kv1", "-kv2", "-kv12"}) {
      const std::string model = family + kv_heads;
      const Answers alone = answer(model, *solo);
      for (const std::uint32_t size : {2u, 3u, 4u}) {
        if (cannot_split(check_model(read_model_folder(folder(model))), size)) {
          EXPECT_TRUE(size == 3 && model.ends_with("-kv2")) << model << " " << size;
          continue;
        }
        expect_near(answer_together(model, size)[0].responses, alone.responses, model + " by " + std::to_string(size));
      }
    }
}

TEST(TensorParallel, the_same_size_gives_the_same_bytes) {
  for (const DType dtype : {DType::float32, DType::bfloat16}) {
    const auto first = answer_together("qwen3-kv2", 4, dtype);
    const auto second = answer_together("qwen3-kv2", 4, dtype);
    EXPECT_EQ(first[0].responses, second[0].responses);
  }
}

TEST(TensorParallel, each_member_reads_its_part_of_what_is_split_and_all_of_what_is_not) {
  for (const std::string& family : kFamilies)
    for (const std::uint32_t size : {2u, 4u}) {
      const DecoderConfig config = read_model_folder(folder(family + "-kv2")).decoder;
      const auto whole = decoder_weight_sources(config);
      const auto answers = answer_together(family + "-kv2", size);
      double bound = 0;
      for (const WeightSource& source : whole) {
        const double elements = static_cast<double>(source.rows * source.columns);
        const bool replicated = source.split == Split::replicate;
        const double members = source.split == Split::kv ? std::min<double>(size, 2) : size;
        const double padding = source.split == Split::vocabulary ? static_cast<double>(source.columns) : 0;
        bound += 4 * (replicated ? elements : elements / members + padding);
      }
      for (const Answers& member : answers) EXPECT_LE(static_cast<double>(member.bytes_read), bound) << family;
    }
}

TEST(TensorParallel, the_parts_of_all_members_are_the_whole) {
  const DecoderConfig config = read_model_folder(folder("llama_biases_llama3-kv12")).decoder;
  const auto whole = decoder_weight_sources(config);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::int64_t elements = 0;
    for (std::uint32_t rank = 0; rank < 4; ++rank) {
      const WeightSource part = member_sources(config, {rank, 4})[i];
      elements += part.rows * part.columns;
      EXPECT_LE(part.first_row + part.rows, whole[i].rows);
      EXPECT_LE(part.first_column + part.columns, whole[i].columns);
    }
    const std::int64_t all = whole[i].rows * whole[i].columns;
    EXPECT_EQ(elements, whole[i].split == Split::replicate ? 4 * all : all) << whole[i].tensor;
  }
}

TEST(VocabularyShare, pads_the_last_and_leaves_nobody_out_of_range) {
  EXPECT_EQ(vocabulary_share(258, {0, 4}).padded, 65);
  EXPECT_EQ(vocabulary_share(258, {3, 4}).begin, 195);
  EXPECT_EQ(vocabulary_share(258, {3, 4}).rows, 63);
  EXPECT_EQ(vocabulary_share(5, {3, 4}).rows, 0);
}

/// The same module code over NCCL's life cycle.
TEST(TensorParallel, answers_alike_over_nccl) {
  const auto solo = make_solo_communicator();
  const Answers alone = answer("llama-kv12", *solo);
  FakeNccl nccl;
  const std::string address = make_nccl_address(nccl);
  std::vector<std::future<Answers>> members;
  for (std::uint32_t rank = 0; rank < 3; ++rank)
    members.push_back(std::async(std::launch::async, [&, rank] {
      const auto gang = make_nccl_communicator(nccl, address, rank, 3, at::Device(at::kCPU));
      gang->join(after(std::chrono::seconds(20)));
      Answers mine = answer("llama-kv12", *gang);
      EXPECT_TRUE(gang->close(after(std::chrono::seconds(20))));
      return mine;
    }));
  for (auto& member : members) expect_near(member.get().responses, alone.responses, "over NCCL");
  EXPECT_EQ(nccl.live(), 0u);
  EXPECT_EQ(nccl.violations, 0);
}

}  // namespace
}  // namespace proctor
