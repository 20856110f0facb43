#include "orchestrator/suite/suite_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "orchestrator/suite/yaml_fields.h"
#include "sharding/protocol/nearest_name.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

class SuiteFileTest : public testing::Test {
 protected:
  SuiteFileTest() {
    fs::create_directories(root_ / "model");
    write("rows.jsonl", "{\"q\": 1}\n");
    write("task.yaml", kTask);
  }
  ~SuiteFileTest() override { fs::remove_all(root_); }
  void write(const std::string& name, const std::string& text) { std::ofstream(root_ / name) << text; }
  SuiteFile suite(const std::string& text, const std::vector<std::string>& settings = {}) {
    write("suite.yaml", text);
    return read_suite((root_ / "suite.yaml").string(), settings);
  }
  std::string refusal(const std::string& text, const std::vector<std::string>& settings = {}) {
    try {
      suite(text, settings);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }
  std::string task_refusal(const std::string& text) {
    write("task.yaml", text);
    return refusal(kSuite);
  }
  static constexpr const char* kTask =
      "task: t\ntype: multiple_choice\ndata: {test: rows.jsonl}\nprompt: \"{{q}}\"\nchoices: [a, b]\nanswer: \"0\"\n";
  static constexpr const char* kSuite = "suite: s\nmodules:\n  - {name: m, path: model}\ntasks: [task.yaml]\n";
  fs::path root_ = fs::temp_directory_path() / ("proctor-suite-" + std::to_string(::getpid()));
};

void expect(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST_F(SuiteFileTest, reads_defaults) {
  const Suite read = suite(kSuite).suite;
  EXPECT_EQ(read.seed, 1234u);
  EXPECT_EQ(read.modules[0].path, fs::canonical(root_ / "model").string());
  EXPECT_EQ(read.tasks[0].metrics.size(), 2u);
  EXPECT_EQ(read.deadlines.load.count(), 600);
  EXPECT_EQ(read.cleanup.leak_tolerance_bytes, 16u << 20);
}

TEST_F(SuiteFileTest, reads_every_key) {
  const Suite read = suite(R"(suite: s
seed: 7
modules:
  - {name: m, kind: generator, path: model, dtype: bfloat16, tensor_parallel: 1, max_batch_tokens: 512, max_length: 128, add_bos_token: true, tasks: [t5]}
tasks:
  - {path: task.yaml, name: t5, set: {fewshot.count: 0, metrics: [acc]}}
machine: {workers: 3, cpu_threads: 2}
cleanup: {batch: {every: 8}, watermark: 0.5, leak_tolerance: 1 MiB}
deadlines: {load: 5 min, progress: 90 s, teardown: 1.5 s, agent: 20, drain: 500 ms}
)")
                         .suite;
  EXPECT_EQ(read.modules[0].dtype, DType::bfloat16);
  EXPECT_EQ(read.tasks[0].name, "t5");
  EXPECT_EQ(read.tasks[0].metrics.size(), 1u);
  EXPECT_EQ(read.machine.workers, 3u);
  EXPECT_EQ(read.cleanup.every, 8u);
  EXPECT_EQ(read.deadlines.drain.count(), 0.5);
}

TEST_F(SuiteFileTest, the_resolved_suite_reads_back_as_the_same) {
  const SuiteFile first = suite(kSuite, {"modules.m.dtype=float16"});
  fs::create_directories(root_ / "elsewhere");
  std::ofstream(root_ / "elsewhere" / "copy.yaml") << first.resolved;
  const SuiteFile second = read_suite((root_ / "elsewhere" / "copy.yaml").string(), {});
  EXPECT_EQ(second.suite.modules[0].dtype, DType::float16);
  EXPECT_EQ(second.suite.modules[0].path, first.suite.modules[0].path);
  EXPECT_EQ(second.suite.tasks[0].data, first.suite.tasks[0].data);
}

TEST_F(SuiteFileTest, unknown_keys_are_refused_with_their_place_and_the_nearest_name) {
  expect(refusal("suite: s\nmodules:\n  - {name: m, path: model, dtyp: float32}\ntasks: [task.yaml]\n"),
         "suite.yaml:3:28: module: unknown key 'dtyp'; did you mean 'dtype'?");
  expect(refusal(std::string(kSuite) + "machin: {}\n"),
         "suite.yaml:5:1: suite: unknown key 'machin'; did you mean 'machine'?");
  expect(task_refusal(std::string(kTask) + "fewshot: {cuont: 5}\n"),
         "task.yaml:7:11: fewshot: unknown key 'cuont'; did you mean 'count'?");
}

TEST_F(SuiteFileTest, wrong_types_and_values_say_what_was_expected) {
  expect(refusal("suite: s\nseed: x\nmodules: [{name: m, path: model}]\ntasks: [task.yaml]\n"),
         "suite.yaml:2:7: suite: seed: expected a whole number, found 'x'");
  expect(refusal("suite: s\nmodules: [{name: m, path: model, dtype: int8}]\ntasks: [task.yaml]\n"),
         "expected auto, float32, bfloat16 or float16, found 'int8'");
  expect(refusal("suite: s\nmodules: {}\ntasks: [task.yaml]\n"), "modules: expected a list");
  expect(refusal("suite: s\nmodules: [{name: m, path: model, tensor_parallel: 0}]\ntasks: [task.yaml]\n"),
         "at least 1");
  expect(refusal("suite: s\nmodules: [{name: m, path: model, tensor_parallel: 65}]\ntasks: [task.yaml]\n"),
         "a gang has at most 64 members");
  expect(refusal(std::string(kSuite) + "deadlines: {load: soon}\n"), "expected a time such as '30 s'");
  expect(refusal(std::string(kSuite) + "cleanup: {batch: sometimes}\n"), "expected never, on_oom, watermark");
  const auto module = [this](const std::string& keys) {
    return refusal("suite: s\nmodules: [{name: m, path: model, " + keys + "}]\ntasks: [task.yaml]\n");
  };
  expect(module("chat_template: nowhere.jinja"), "nowhere.jinja: no such file");
  expect(module("chat_template: ''"), "expected true, false, a template's name or a .jinja file");
  expect(module("chat_template: false, system: x"), "would do nothing");
  expect(module("system: x"), "system does nothing without chat_template: true");
  expect(module("chat_template: true, chat_template_kwargs: {messages: 1}"), "'messages' is proctor's to say");
  expect(module("chat_template: true, chat_template_kwargs: [1]"), "expected a map");
  for (const char* day : {"2026-02-29", "2026-13-01", "2026-1-1", "x", "2026-01-01x"})
    expect(module("chat_template: true, chat_date: " + std::string(day)), "expected a day such as 2026-01-31");
  expect(module("chat_template: true, kind: cross_encoder"), "is for generators");
  expect(refusal("- a\n"), "a suite is a map");
  expect(refusal("suite: [\n"), "not readable as YAML");
}

TEST_F(SuiteFileTest, missing_things_are_named) {
  expect(refusal("suite: s\nmodules: [{name: m, path: nowhere}]\ntasks: [task.yaml]\n"),
         "nowhere: no such model folder");
  expect(refusal("suite: s\nmodules: [{name: m, path: org/name}]\ntasks: [task.yaml]\n"),
         "huggingface-cli download org/name");
  expect(refusal("suite: s\nmodules: [{name: m, path: model}]\ntasks: [absent.yaml]\n"), "suite.yaml:3:9: task: ");
  expect(refusal("suite: s\nmodules: [{name: m, path: model, tasks: [tt]}]\ntasks: [task.yaml]\n"),
         "no task is named 'tt'; did you mean 't'?");
  expect(refusal("suite: s\nmodules: [{name: m, path: model}, {name: m, path: model}]\ntasks: [task.yaml]\n"),
         "two modules are named 'm'");
  expect(
      task_refusal(
          "task: t\ntype: multiple_choice\ndata: {test: no.jsonl}\nprompt: \"{{q}}\"\nchoices: [a]\nanswer: \"0\"\n"),
      "no.jsonl: no such data file");
  expect(task_refusal("task: t\ntype: multiple_choice\ndata: {train: rows.jsonl}\nprompt: \"{{q}}\"\nchoices: "
                      "[a]\nanswer: \"0\"\n"),
         "data: 'test' is missing");
}

TEST_F(SuiteFileTest, tasks_that_cannot_work_are_refused) {
  expect(task_refusal("task: t\ntype: multi_choice\ndata: {test: rows.jsonl}\n"),
         "task type 'multi_choice' is not known (known: multiple_choice");
  expect(task_refusal(
             "task: t\ntype: multiple_choice\ndata: {test: rows.jsonl}\nprompt: fixed\nchoices: [a]\nanswer: \"0\"\n"),
         "task.yaml:4:9: task: prompt: has no {{field}}");
  expect(task_refusal("task: t\ntype: multiple_choice\ndata: {test: rows.jsonl}\nprompt: \"{% if q %}\"\nchoices: "
                      "[a]\nanswer: \"0\"\n"),
         "lm-eval bridge");
  expect(task_refusal("task: t\ntype: multiple_choice\ndata: {test: rows.jsonl}\nprompt: \"{{q}}\"\nanswer: \"0\"\n"),
         "choices: is missing (task type multiple_choice needs it)");
  expect(task_refusal(std::string(kTask) + "metrics: [accuracy]\n"),
         "'accuracy' is no metric of this task type (its metrics: acc, acc_norm");
  expect(task_refusal(std::string(kTask) + "fewshot: {count: 2, split: train}\n"),
         "its split 'train' is not under data");
  expect(task_refusal(std::string(kTask) + "filters: [{name: f, filter: [{function: regx}]}]\n"),
         "filter 'regx' is not known");
  expect(task_refusal(std::string(kTask) + "filters: [{name: f, filter: [{function: {a: b}}]}]\n"),
         "filter step: function: expected a text");
  expect(task_refusal(std::string(kTask) + "filters: [{name: f, filter: [{functoin: regex}]}]\n"),
         "filter step: function: is missing");
}

TEST_F(SuiteFileTest, a_task_has_lm_evals_metadata_or_a_version_alone) {
  const auto metadata = [this](const std::string& keys) {
    write("task.yaml", kTask + keys);
    return suite(kSuite).suite.tasks[0].metadata.dump();
  };
  EXPECT_EQ(metadata(""), "{}");
  EXPECT_EQ(metadata("metadata: {version: 1.0, by: me}\n"), R"({"by":"me","version":1.0})");
  EXPECT_EQ(metadata("version: 2\n"), R"({"version":2})");
  EXPECT_EQ(metadata("metadata: {by: me}\nversion: 2024-01\n"), R"({"by":"me","version":"2024-01"})");
  expect(task_refusal(std::string(kTask) + "metadata: {version: 1}\nversion: 2\n"),
         "task.yaml:8:10: task: version: metadata has it already");
  expect(task_refusal(std::string(kTask) + "metadata: {version: [1]}\n"),
         "task.yaml:7:11: task: metadata: expected a number or a text as version");
  expect(task_refusal(std::string(kTask) + "version: true\n"), "version: expected a number or a text as version");
  expect(task_refusal(std::string(kTask) + "metadata: 1\n"), "metadata: expected a map of keys");
  expect(task_refusal("task: t\ntype: requests\ndata: rows.jsonl\nversion: 1\n"),
         "version: is not read by task type requests");
}

/// Each was read as something else, without a word.
TEST_F(SuiteFileTest, what_would_be_left_unread_is_refused) {
  expect(refusal(std::string(kSuite) + "suite: other\n"), "suite.yaml:5:1: key 'suite' is there twice");
  expect(refusal("suite: s\nmodules: [{name: m, path: model, path: other}]\ntasks: [task.yaml]\n"),
         "suite.yaml:2:34: key 'path' is there twice");
  expect(refusal(std::string(kSuite) + "x: &a [*a]\n"), "an alias of itself?");
  expect(refusal(std::string(kSuite) + "---\nsuite: t\n"), "a second YAML document begins here");
  expect(task_refusal(std::string(kTask) + "filters: [{name: f, filter: [{function: regex, regex_patern: a}]}]\n"),
         "filter regex has no option 'regex_patern' (its options: regex_pattern, group_select, fallback)");
  expect(task_refusal(std::string(kTask) + "filters: [{name: f, filter: [{function: lowercase}]}, {name: f, filter: "
                                           "[{function: uppercase}]}]\n"),
         "two filters are named 'f'");
}

/// Accepted and without effect, each was believed to do something.
TEST_F(SuiteFileTest, keys_that_would_do_nothing_are_refused) {
  const std::string rolling = "task: t\ntype: loglikelihood_rolling\ndata: {test: rows.jsonl}\ntext: \"{{q}}\"\n";
  for (const char* key :
       {"prompt: \"{{q}}\"", "target: a", "description: d", "fewshot: {count: 1}", "on_long: truncate"})
    expect(task_refusal(rolling + key + "\n"), "is not read by task type loglikelihood_rolling");
  const std::string choice =
      "task: t\ntype: multiple_choice\ndata: {test: rows.jsonl}\nprompt: \"{{q}}\"\nchoices: [a, b]\nanswer: \"0\"\n";
  for (const char* key :
       {"generation: {max_gen_toks: 4}", "target: a", "filters: [{name: f, filter: [{function: lowercase}]}]",
        "text: \"{{q}}\"", "contexts: [a, b]\ntarget: a"})
    expect(task_refusal(choice + key + "\n"), "is not read by task type multiple_choice");
  const std::string generate =
      "task: t\ntype: generate_until\ndata: {test: rows.jsonl}\nprompt: \"{{q}}\"\ntarget: a\n";
  for (const char* key : {"choices: [a]", "answer: \"0\"", "text: \"{{q}}\"", "labels: [a]"})
    expect(task_refusal(generate + key + "\n"), "is not read by task type generate_until");
  for (const char* name : {"x_stderr", "\"a,b\""})
    expect(task_refusal(generate + "filters: [{name: " + name + ", filter: [{function: lowercase}]}]\n"),
           "would be taken for something else");
}

TEST_F(SuiteFileTest, what_will_be_missing_from_the_results_is_noted) {
  EXPECT_EQ(suite(kSuite).notes, std::vector<std::string>{});
  write("roll.yaml", "task: r\ntype: loglikelihood_rolling\ndata: rows.jsonl\ntext: '{{q}}'\n");
  EXPECT_EQ(suite("suite: s\nmodules: [{name: m, path: model, tasks: [t]}, {name: e, kind: embedding, path: model}]\n"
                  "tasks: [task.yaml, roll.yaml]\n")
                .notes,
            (std::vector<std::string>{"module e of kind embedding can answer none of the tasks",
                                      "task r of type loglikelihood_rolling is answered by none of the modules"}));
}

TEST_F(SuiteFileTest, values_out_of_all_bounds_are_refused) {
  expect(refusal(std::string(kSuite) + "machine: {workers: 300000}\n"), "at most 4096, found 300000");
  for (const char* time : {"1e30 h", "inf s", "nan s", "0 s"})
    expect(refusal(std::string(kSuite) + "deadlines: {load: " + time + "}\n"), "expected a time such as '30 s'");
  for (const char* size : {"inf", "nan", "1e300", "1e15 GiB", "-1", "0x10"})
    expect(refusal(std::string(kSuite) + "cleanup: {leak_tolerance: " + size + "}\n"),
           "expected a size such as '16 MiB'");
  for (const char* k : {"1.5", "'2'", "1e9", "9999999999"})
    expect(
        task_refusal("task: t\ntype: generate_until\ndata: rows.jsonl\nprompt: \"{{q}}\"\ntarget: a\nfilters: [{name: "
                     "f, filter: [{function: take_first_k, k: " +
                     std::string(k) + "}]}]\n"),
        "expected a whole number");
  expect(refusal("suite: " + std::string(300, 'a') + "\n"), "is longer than 200 bytes");
  expect(refusal("suite: \"a\\nb\"\n"), "cannot name a file");
  expect(task_refusal("task: t\ntype: generate_until\ndata: rows.jsonl\nprompt: \"{{q}}\"\ntarget: []\n"),
         "target: is an empty list");
  expect(task_refusal("task: t\ntype: generate_until\ndata: rows.jsonl\nprompt: \"{{q}}\"\ntarget: a\ngeneration: "
                      "{temperature: 1, repeats: 1000000000000}\n"),
         "at most 10000");
}

TEST_F(SuiteFileTest, a_folders_own_name_is_no_pattern) {
  const fs::path odd = root_ / "br[a]ck*";
  fs::create_directory(odd);
  fs::copy(root_ / "rows.jsonl", odd / "rows.jsonl");
  std::ofstream(odd / "task.yaml") << kTask;
  const auto names = [&](const std::string& tasks) {
    std::ofstream(odd / "suite.yaml") << "suite: s\nmodules: [{name: m, path: ../model}]\ntasks: [" << tasks << "]\n";
    return read_suite((odd / "suite.yaml").string(), {}).suite.tasks.size();
  };
  EXPECT_EQ(names("task.yaml"), 1u);
  EXPECT_EQ(names("'ta*.yaml'"), 1u);
}

TEST_F(SuiteFileTest, tasks_without_a_value_are_all_of_them) {
  EXPECT_EQ(suite("suite: s\nmodules: [{name: m, path: model, tasks: }]\ntasks: [task.yaml]\n").suite.modules[0].tasks,
            std::nullopt);
}

TEST_F(SuiteFileTest, set_changes_the_suite_before_it_is_read) {
  EXPECT_EQ(suite(kSuite, {"modules.m.dtype=bfloat16", "machine.cpu_threads=2"}).suite.machine.cpu_threads, 2u);
  expect(refusal(kSuite, {"modules.x.dtype=bfloat16"}), "nothing here is named 'x'");
  expect(refusal(kSuite, {"dtype"}), "expected KEY=VALUE");
  expect(refusal(kSuite, {"modules.m.dtyp=bfloat16"}), "unknown key 'dtyp'");
}

TEST(Units, sizes_and_times) {
  EXPECT_EQ(parse_bytes("16 MiB"), 16u << 20);
  EXPECT_EQ(parse_bytes("1.5GB"), 1500000000u);
  EXPECT_EQ(parse_bytes("-1"), std::nullopt);
  EXPECT_EQ(parse_bytes("many"), std::nullopt);
  EXPECT_EQ(parse_seconds("2 min"), 120.0);
  EXPECT_EQ(nearest("dtpye", {"dtype", "device"}), "dtype");
  EXPECT_EQ(nearest("zzzzzz", {"dtype", "device"}), "");
}

TEST_F(SuiteFileTest, options_of_a_row_are_checked_before_there_is_one) {
  const std::string generate = "task: t\ntype: generate_until\ndata: rows.jsonl\nprompt: \"{{q}}\"\ntarget: a\n";
  expect(task_refusal(generate + "metrics: [exact_match_macro]\n"), "metrics: exact_match_macro: needs group");
  expect(task_refusal(generate + "metrics: [{exact_match_macro: {group: \"{{a b}}\"}}]\n"), "'{{a b}}' is not a field");
  expect(
      task_refusal(generate + "filters: [{name: f, filter: [{function: option_letter, choices: \"{{o | up}}\"}]}]\n"),
      "task.yaml:6:");
  EXPECT_EQ(task_refusal(generate + "metrics: [{exact_match_macro: {group: \"{{c}}\"}}]\nfilters: [{name: f, filter: "
                                    "[{function: option_letter, choices: [\"{{a}}\", \"{{b}}\"], style: mmmu}]}]\n"),
            "accepted");
}

}  // namespace
}  // namespace proctor
