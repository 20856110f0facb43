// The cost model's constants, what is learned of them and kept, and what is predicted by them.
#include "orchestrator/planning/forecast.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "orchestrator/planning/calibration_file.h"
#include "orchestrator/report/plan_report.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

Calibration calibration(double flops_per_second, double seconds) {
  Calibration out;
  out.runs["float32 loglikelihood"][8].add(flops_per_second * seconds, seconds);
  out.load[9].add(200e9, 400);
  return out;
}

double pace_of(const Calibration& known) {
  const Pace& pace = known.runs.at("float32 loglikelihood").at(8);
  return pace.amount / pace.seconds;
}

TEST(Calibration, what_is_new_counts_as_much_as_all_that_was_known) {
  Calibration known = calibration(100, 10000);
  known.learn(calibration(300, 100));
  EXPECT_NEAR(pace_of(known), 200, 1e-9);
  Calibration short_one = calibration(100, 1);
  short_one.learn(calibration(300, 10));
  EXPECT_GT(pace_of(short_one), 275) << "a second is not as good as ten";
  known.learn({});
  EXPECT_NEAR(pace_of(known), 200, 1e-9) << "a run that measured nothing";
  known.learn(calibration(1, 0.6));
  EXPECT_NEAR(pace_of(known), 198, 0.1) << "a run of an instant takes a hundredth";
}

TEST(Calibration, a_tiny_model_and_a_short_run_say_nothing_of_a_large_one) {
  const char* work = "float32 loglikelihood";
  Calibration learned;
  learned.runs[work][5].add(1e9, 100);  // 1e7 FLOPs a second: calls
  learned.load[5].add(1e5, 0.1);
  const Predictor after_tiny("cpu", learned), fresh("cpu", {});
  EXPECT_DOUBLE_EQ(after_tiny.run_seconds(work, 1.3e8, 1e12), fresh.run_seconds(work, 1.3e8, 1e12));
  EXPECT_DOUBLE_EQ(after_tiny.load_seconds(5e8), fresh.load_seconds(5e8));
  learned.runs[work][8].add(1e9, 0.2);  // two documents of a large one
  const Predictor after_short("cpu", learned);
  EXPECT_LT(after_short.run_seconds(work, 1.3e8, 1e12), 1.2 * fresh.run_seconds(work, 1.3e8, 1e12));
  learned.runs[work][8].add(6e12, 60);
  EXPECT_NEAR(Predictor("cpu", learned).run_seconds(work, 1.3e9, 1e12), 10, 0.5)
      << "the class below is better than none";
}

TEST(Calibration, what_was_never_run_is_guessed_from_matrix_products) {
  const Predictor slow("cpu", {}, {1e10, 4e10}), fast("cpu", {}, {1e11, 4e11});
  for (const char* work : {"float32 loglikelihood", "float32 generate_until", "bfloat16 loglikelihood"})
    EXPECT_NEAR(slow.run_seconds(work, 1e8, 1e12), 10 * fast.run_seconds(work, 1e8, 1e12), 1e-9) << work;
  EXPECT_NEAR(fast.run_seconds("float32 loglikelihood", 1e8, 1e12), 12.5, 1e-9);
  EXPECT_NEAR(fast.run_seconds("bfloat16 loglikelihood", 1e8, 1e12), 5, 1e-9)
      << "a quarter of ten seconds is no product";
  Calibration learned;
  learned.runs["float32 loglikelihood"][8].add(1e14, 100);
  EXPECT_NEAR(Predictor("cpu", learned, {1e11, 0}).run_seconds("float32 loglikelihood", 1e8, 1e12), 1, 0.02)
      << "what a run has shown counts";
}

TEST(Calibration, predictions_fall_back_by_kind_of_device) {
  const Predictor cpu("cpu", calibration(2e10, 1e6)), gpu("NVIDIA H100", {});
  EXPECT_NEAR(cpu.run_seconds("float32 loglikelihood", 1e8, 1e11), 5, 1e-4);
  EXPECT_DOUBLE_EQ(cpu.run_seconds("float32 generate_until", 1e8, 4e10), 1);
  EXPECT_DOUBLE_EQ(gpu.run_seconds("float32 loglikelihood", 1e8, 1e14), 1);
  EXPECT_NEAR(cpu.load_seconds(1e9), 2, 0.01);
}

class CalibrationFile : public testing::Test {
 protected:
  ~CalibrationFile() override { fs::remove_all(root_); }
  fs::path root_ = fs::temp_directory_path() / ("proctor-calibration-" + std::to_string(::getpid()));
  fs::path file_ = root_ / "proctor" / "calibration.json";
};

TEST_F(CalibrationFile, keeps_each_kind_of_device_apart) {
  EXPECT_TRUE(learn_calibration(file_, "cpu", calibration(100, 10)));
  EXPECT_TRUE(learn_calibration(file_, "gpu", calibration(900, 10)));
  EXPECT_NEAR(pace_of(read_calibration(file_, "cpu")), 100, 1e-9);
  EXPECT_NEAR(pace_of(read_calibration(file_, "gpu")), 900, 1e-9);
  EXPECT_TRUE(read_calibration(file_, "tpu").runs.empty());
}

TEST_F(CalibrationFile, damage_or_no_place_costs_what_was_known_and_nothing_else) {
  fs::create_directories(file_.parent_path());
  std::ofstream(file_) << R"({"cpu": {"runs": 3}, "gpu)";
  EXPECT_TRUE(read_calibration(file_, "cpu").runs.empty());
  EXPECT_TRUE(learn_calibration(file_, "cpu", calibration(100, 10)));
  EXPECT_FALSE(read_calibration(file_, "cpu").runs.empty());
  EXPECT_FALSE(learn_calibration("/dev/null/x", "cpu", calibration(100, 10)));
  EXPECT_FALSE(learn_calibration("", "cpu", calibration(100, 10)));
}

/// Two modules of one task of two shards, 40 and 10 GFLOP; a device has 2 GiB.
Work work(std::uint32_t tensor_parallel) {
  Work work;
  work.suite.name = "s";
  ModelFacts facts;
  facts.architecture = "Llama";
  facts.checkpoint_dtype = "float32";
  facts.parameters = 1'000'000'000;
  facts.weight_bytes = 4'000'000'000;
  facts.layers = 16, facts.hidden = 2048, facts.heads = 32, facts.kv_heads = 8, facts.head_dim = 64;
  facts.intermediate = 8192, facts.vocabulary = 128'000;
  work.device.bytes = 2ull << 30;
  work.requests.resize(1);
  work.requests[0].requests = {{{std::string(400, 'x')}, Loglikelihood{}}, {{std::string(100, 'x')}, Loglikelihood{}}};
  work.suite.tasks.resize(1);
  work.suite.tasks[0].name = "t";
  for (std::uint32_t m = 0; m < 2; ++m) {
    Module& module = work.suite.modules.emplace_back();
    module.name = "m" + std::to_string(m);
    module.tensor_parallel = m == 0 ? 1 : tensor_parallel;
    work.facts.push_back(facts);
    work.max_batch_tokens.push_back(2048);
    work.cells.push_back({ModuleId{m}, TaskId{0}, {}, ""});
    work.shards.push_back({ModuleId{m}, TaskId{0}, {0}, 4e10, 100});
    work.shards.push_back({ModuleId{m}, TaskId{0}, {1}, 1e10, 25});
  }
  return work;
}

TEST(Forecast, counts_seconds_of_gangs_and_orders_modules_by_them) {
  const Work two = work(2);
  const Forecast forecast(two, {"cpu", {}});  // 4e10 FLOPs a second, 1e9 bytes a second
  EXPECT_DOUBLE_EQ(forecast.module(ModuleId{0}).run_s, 1.25);
  EXPECT_DOUBLE_EQ(forecast.module(ModuleId{1}).run_s, 0.625) << "by two devices";
  EXPECT_DOUBLE_EQ(forecast.module(ModuleId{1}).load_s, 2);
  EXPECT_DOUBLE_EQ(forecast.outlooks()[1].seconds_per_flop, 0.5 / 4e10);
  EXPECT_EQ(forecast.cells()[0].shards, 2u);
  EXPECT_DOUBLE_EQ(forecast.cells()[0].tokens, 125) << "4 bytes a token";
  EXPECT_DOUBLE_EQ(forecast.cells()[0].computed_tokens, 125);
}

TEST(Forecast, names_the_smallest_tensor_parallel_that_fits) {
  const Work big = work(4);
  const Forecast forecast(big, {"cpu", {}});
  EXPECT_EQ(forecast.module(ModuleId{0}).needs_tensor_parallel, 4u) << "4 GB of weights, 1.8 GiB usable: 2 are too few";
  EXPECT_EQ(forecast.module(ModuleId{1}).needs_tensor_parallel, std::nullopt);
  EXPECT_NE(plan_report(big, forecast, {4}, "").find("does not fit: set tensor_parallel to 4"), std::string::npos);
}

TEST(Forecast, a_plan_is_rehearsed_on_each_number_of_devices) {
  const Work two = work(2);
  const Forecast forecast(two, {"cpu", {}});
  const Timeline timeline = plan_timeline(two, forecast, 3);
  EXPECT_EQ(timeline.devices.size(), 3u);
  EXPECT_EQ(timeline.spans.size(), 9u) << "three devices load, run and tear down once";
  EXPECT_EQ(as_nodes(20), (std::vector<std::uint32_t>{8, 8, 4}));
  EXPECT_THROW((void)plan_report(two, forecast, {1}, ""), EnvironmentError) << "a gang of two on one device";
}

TEST(Forecast, a_resumed_run_has_less_to_do) {
  const Work two = work(2);
  const Forecast forecast(two, {"cpu", {}});
  const Scenario left = forecast.scenario({2}, {true, true, false, true});
  EXPECT_TRUE(left.modules[0].shards.empty());
  EXPECT_EQ(left.modules[1].shards.size(), 1u);
}

}  // namespace
}  // namespace proctor
