// lm-eval's own prompt hashes and metric values for a seeded fake model (shared data, golden-lm-eval/TEMPLATES.md): the
// requests (L1) and the scores (L3) without a model. Rows are shuffled and rewritten here, not by the product.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "orchestrator/cpython/python_random.h"
#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/hashes.h"
#include "orchestrator/planning/fewshot.h"
#include "orchestrator/planning/work.h"
#include "orchestrator/scoring/cell_score.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
const fs::path kData = PROCTOR_TEST_DATA;

std::vector<std::vector<std::string>> read_csv(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(stream)), {});
  std::vector<std::vector<std::string>> rows(1, {""});
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"')
      rows.back().back() += text[++i];
    else if (c == '"')
      quoted = !quoted;
    else if (!quoted && c == ',')
      rows.back().emplace_back();
    else if (!quoted && c == '\n')
      rows.push_back({""});
    else if (quoted || c != '\r')
      rows.back().back() += c;
  }
  if (rows.back().size() < 2) rows.pop_back();
  return rows;
}

std::vector<Document> shuffled(const std::vector<Json>& rows) {
  std::vector<Document> documents;
  for (std::uint32_t i : python::Random(42).shuffled(static_cast<std::uint32_t>(rows.size())))
    documents.push_back({rows[i], "golden", i + 1});
  return documents;
}

Task task(const std::string& prompt) {
  Task out;
  out.name = "golden";
  out.type = "multiple_choice";
  out.prompt = prompt;
  out.choices = TemplateList("{{choices}}");
  out.answer = "{{gold}}";
  out.metrics = {{"acc", {}}, {"acc_norm", {}}};
  return out;
}

struct Outcome {
  std::string hash;
  std::map<std::string, double> values;
};

Prompt prompt_of(const TaskTemplates& task, const Document& document) {
  Prompt prompt{{}, task.task->target_delimiter};
  for (const std::string& question : multiple_choice().questions(task, document))
    prompt.contexts.push_back(plain_parts(assemble_messages(task, multiple_choice(), "", {}, document, question)));
  return prompt;
}

/// The recipe of the data's README: requests in order, (-random(), False) for each, then the scores.
Outcome run(const Task& spec, std::vector<Document> documents) {
  const TaskTemplates compiled = compile(spec);
  CellRequests cell;
  for (const Document& document : documents) {
    cell.first_request.push_back(static_cast<std::uint32_t>(cell.requests.size()));
    for (Request& request : multiple_choice().requests(compiled, document, prompt_of(compiled, document)))
      cell.requests.push_back(std::move(request));
  }
  cell.first_request.push_back(static_cast<std::uint32_t>(cell.requests.size()));
  cell.documents = std::move(documents);
  Json list = Json::array();
  python::Random random(42);
  std::vector<Response> responses;
  for (const Request& request : cell.requests) {
    list.push_back({text_of(request, 0), text_of(request, 1)});
    responses.push_back({LoglikelihoodAnswer{-random.random(), false, 1, 0}, ""});
  }
  Outcome outcome;
  outcome.hash = sha256_hex(python::json_dumps(list, python::Ascii::escape));
  for (const MetricScore& metric : score_cell(compiled, cell, responses, {100, PythonSum::naive}).metrics) {
    outcome.values[metric.metric] = metric.value;
    outcome.values[metric.metric + "_stderr"] = metric.error.value_or(0);
  }
  return outcome;
}

Json golden(const std::string& name) {
  std::ifstream stream(kData / "golden-lm-eval" / (name + "-res.json"));
  return Json::parse(stream)["results"].begin().value();
}
std::string golden_hash(const std::string& name) {
  std::ifstream stream(kData / "golden-lm-eval" / (name + "-loglikelihood"));
  std::string hash;
  stream >> hash;
  return hash;
}
void expect_values(const Outcome& outcome, const Json& expected) {
  for (const auto& [key, value] : expected.items())
    EXPECT_DOUBLE_EQ(outcome.values.at(key), value.get<double>()) << key;
}
std::vector<Json> read_rows(const fs::path& path) {
  std::ifstream stream(path);
  std::vector<Json> rows;
  for (std::string line; std::getline(stream, line);) rows.push_back(Json::parse(line));
  return rows;
}

class GoldenLmEval : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kData / "golden-lm-eval")) GTEST_SKIP() << "no " << kData;
  }
};

TEST_F(GoldenLmEval, all_57_subjects_of_mmlu_requests_and_metrics) {
  int subjects = 0;
  for (const auto& entry : fs::directory_iterator(kData / "mmlu" / "test")) {
    const std::string file = entry.path().filename().string(), subject = file.substr(0, file.rfind("_test.csv"));
    std::vector<Json> rows;
    const auto table = read_csv(entry.path());
    for (std::size_t i = 1; i < table.size(); ++i) {
      const auto& cells = table[i];
      ASSERT_EQ(cells.size(), 6u) << file << " row " << i;
      rows.push_back({{"question", cells[0]},
                      {"choices", {cells[1], cells[2], cells[3], cells[4]}},
                      {"gold", std::stoi(cells[5])}});
    }
    const std::string name = "hendrycksTest-" + subject + "-v0";
    const Outcome outcome = run(task("Question: {{question}}\nChoices:\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. "
                                     "{{choices[2]}}\nD. {{choices[3]}}\nAnswer:"),
                                shuffled(rows));
    EXPECT_EQ(outcome.hash, golden_hash(name)) << subject;
    expect_values(outcome, golden(name));
    ++subjects;
  }
  EXPECT_EQ(subjects, 57);
}

TEST_F(GoldenLmEval, winogrande_requests_and_metrics) {
  Task spec = task("");
  spec.choices.reset();
  spec.contexts = {"{{context_options[0]}}", "{{context_options[1]}}"};
  spec.target = TemplateList("{{continuation}}");
  spec.metrics = {{"acc", {}}};
  const Outcome outcome = run(spec, shuffled(read_rows(kData / "gauntlet" / "winogrande.jsonl")));
  EXPECT_EQ(outcome.hash, golden_hash("winogrande-v0"));
  expect_values(outcome, golden("winogrande-v0"));
}

TEST_F(GoldenLmEval, copa_metrics) {
  Task spec = task("{{query}}");
  spec.metrics = {{"acc", {}}};
  expect_values(run(spec, shuffled(read_rows(kData / "gauntlet" / "copa.jsonl"))), golden("copa-v0"));
}

TEST_F(GoldenLmEval, boolq_metrics) {
  std::vector<Json> rows = read_rows(kData / "gauntlet" / "boolq.jsonl");
  for (Json& row : rows) row["choices"] = {"yes", "no"}, row["gold"] = 1 - row["gold"].get<int>();
  Task spec = task("{{query}}");
  spec.metrics = {{"acc", {}}};
  expect_values(run(spec, shuffled(rows)), golden("boolq-v1"));
}

TEST_F(GoldenLmEval, hellaswag_metrics) {
  const fs::path file = kData / "hellaswag" / "hellaswag_val_full.txt.bz2";
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(("bzip2 -dc '" + file.string() + "'").c_str(), "r"), pclose);
  std::string text;
  char buffer[65536];
  for (std::size_t n = 0; pipe && (n = fread(buffer, 1, sizeof buffer, pipe.get())) > 0;) text.append(buffer, n);
  if (text.empty()) GTEST_SKIP() << "bzip2 cannot read " << file;
  std::istringstream lines(text);
  std::vector<Json> rows;
  for (std::string query, gold; std::getline(lines, query) && std::getline(lines, gold);) {
    Json choices = Json::array();
    std::string ending;
    for (int i = 0; i < 4 && std::getline(lines, ending); ++i) choices.push_back(ending);
    rows.push_back({{"query", query}, {"gold", std::stoi(gold)}, {"choices", choices}});
  }
  ASSERT_EQ(rows.size(), 10042u);
  expect_values(run(task("{{query}}"), shuffled(rows)), golden("hellaswag-v0"));
}

}  // namespace
}  // namespace proctor
