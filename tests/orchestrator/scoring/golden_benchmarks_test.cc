// Rows of six benchmarks through proctor's own task files, beside what lm-eval 0.4.13 makes of them: every request's
// text, few-shot examples included, and every score (tests/oracle/make_benchmark_goldens.py).
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/hashes.h"
#include "orchestrator/planning/work.h"
#include "orchestrator/scoring/cell_score.h"
#include "orchestrator/suite/task_file.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;
const std::filesystem::path kData = std::filesystem::path(PROCTOR_SOURCE) / "tests/data";

Json goldens() {
  std::ifstream stream(kData / "goldens/benchmark_goldens.json");
  return Json::parse(stream)["tasks"];
}

/// The model of the oracle: a share of -10 that SHA-256 gives.
double log_likelihood(const Request& request) {
  const std::string hash = sha256_hex(text_of(request, 0) + std::string(1, '\0') + text_of(request, 1));
  return -10 * static_cast<double>(std::stoul(hash.substr(0, 8), nullptr, 16)) / 4294967296.0;
}

class GoldenBenchmarks : public testing::TestWithParam<const char*> {};

TEST_P(GoldenBenchmarks, requests_and_scores_are_lm_evals) {
  const Json golden = goldens().at(GetParam());
  const Task task = read_task((kData / "benchmarks" / (std::string(GetParam()) + ".yaml")).string(), "", {});
  const TaskTemplates compiled = compile(task);
  const CellRequests cell = build_requests(compiled, 0);
  const bool generates = task.type == "generate_until";
  Json texts = Json::array();
  std::vector<Response> responses;
  for (std::size_t i = 0; i < cell.requests.size(); ++i) {
    const Request& request = cell.requests[i];
    texts.emplace_back();
    for (const Part& part : request.parts) texts.back().push_back(text_of(part));
    responses.push_back(generates ? Response{GenerateAnswer{golden["texts"][i].get<std::string>(), 1, {}, 0}, ""}
                                  : Response{LoglikelihoodAnswer{log_likelihood(request), false, 1, 0}, ""});
  }
  ASSERT_EQ(cell.requests.size(), golden["requests"]);
  EXPECT_EQ(texts[0], golden["first"]);
  EXPECT_EQ(sha256_hex(python::json_dumps(texts, python::Ascii::keep)), golden["requests_sha256"]);
  std::map<std::string, double> scores;
  for (const MetricScore& metric : score_cell(compiled, cell, responses, StderrOptions{}).metrics) {
    scores[metric.metric + "," + metric.filter] = metric.value;
    scores[metric.metric + "_stderr," + metric.filter] = metric.error.value_or(-1);
  }
  for (const auto& [key, value] : golden["metrics"].items())
    EXPECT_DOUBLE_EQ(scores.at(key), value.get<double>()) << key;
  EXPECT_EQ(scores.size(), golden["metrics"].size());
}
INSTANTIATE_TEST_SUITE_P(LmEval, GoldenBenchmarks,
                         testing::Values("mmlu", "hellaswag", "boolq", "copa", "winogrande", "gsm8k"));

}  // namespace
}  // namespace proctor
