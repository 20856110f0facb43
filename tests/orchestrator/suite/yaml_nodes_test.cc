#include "orchestrator/suite/yaml_nodes.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "orchestrator/suite/suite_file.h"
#include "orchestrator/suite/yaml_fields.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

YAML::Node read(const std::string& text) {
  std::istringstream stream(text);
  return read_yaml(stream, "f.yaml");
}

template <class Act>
std::string refusal(Act&& act) {
  try {
    act();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

constexpr const char* kBases = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\n";

Json merged(const std::string& line) { return json_of(read(kBases + ("c: " + line + "\n"))["c"]); }

TEST(MergeKeys, own_keys_win_then_the_first_of_a_list) {
  EXPECT_EQ(merged("{<<: *a, y: 9}"), (Json{{"x", 1}, {"y", 9}}));
  EXPECT_EQ(merged("{y: 9, <<: *a}"), (Json{{"x", 1}, {"y", 9}})) << "wherever the merge stands";
  EXPECT_EQ(merged("{<<: [*a, *b]}"), (Json{{"x", 1}, {"y", 2}, {"z", 4}}));
  EXPECT_EQ(merged("{<<: [*b, *a], z: 9}"), (Json{{"x", 1}, {"y", 3}, {"z", 9}}));
  EXPECT_EQ(merged("{<<: {x: 7}}"), (Json{{"x", 7}}));
  EXPECT_EQ(merged("{<<: [], x: 7}"), (Json{{"x", 7}}));
}

TEST(MergeKeys, are_merged_at_every_level) {
  EXPECT_EQ(json_of(read("a: &a {x: 1, y: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b, z: 3}\n")),
            (Json{{"a", {{"x", 1}, {"y", 1}}}, {"b", {{"x", 1}, {"y", 2}}}, {"c", {{"x", 1}, {"y", 2}, {"z", 3}}}}));
  EXPECT_EQ(merged("{l: [1, {<<: *a}], m: {n: {<<: *b}}}"),
            (Json{{"l", {1, {{"x", 1}, {"y", 2}}}}, {"m", {{"n", {{"y", 3}, {"z", 4}}}}}}));
  EXPECT_EQ(merged("{<<: {<<: *a, x: 5}}"), (Json{{"x", 5}, {"y", 2}}));
  EXPECT_EQ(json_of(read("a: &a {m: {p: 1}}\nb: {<<: *a, m: {q: 2}}\n"))["b"], (Json{{"m", {{"q", 2}}}}))
      << "values are not merged";
}

TEST(MergeKeys, a_quoted_one_is_a_key_like_others) {
  EXPECT_EQ(merged("{\"<<\": *a}"), (Json{{"<<", {{"x", 1}, {"y", 2}}}}));
}

TEST(MergeKeys, what_is_no_map_is_refused_where_it_is_merged) {
  for (const char* value : {"*s", "5", "", "[*s]", "[{x: 1}, 5]", "[[{x: 1}]]"}) {
    const std::string text = "a: &s 1\nb:\n  x: 1\n  <<: " + std::string(value) + "\n";
    EXPECT_TRUE(refusal([&] { read(text); }).starts_with("f.yaml:4:3: <<: expected a map")) << value;
  }
  EXPECT_NE(refusal([] { read("a: &a\n  x: 1\n  <<: *a\n"); }).find("an alias of itself?"), std::string::npos);
  EXPECT_NE(refusal([] { read("a: &a {b: {<<: [*a]}}\n"); }).find("an alias of itself?"), std::string::npos);
  EXPECT_TRUE(refusal([] { read("a:\n  <<: *b\n"); }).starts_with("f.yaml:2:7: not readable as YAML"));
  EXPECT_EQ(refusal([] { read("a: {<<: {x: 1}, <<: {y: 1}}\n"); }), "f.yaml:1:17: key '<<' is there twice");
}

TEST(MergeKeys, a_merged_value_is_refused_where_it_was_written) {
  const YAML::Node node = read("a: &a\n  x: soon\n  m: [1]\nb:\n  <<: *a\n");
  YamlFields fields(node["b"], "f.yaml", "thing");
  EXPECT_TRUE(refusal([&] { (void)fields.whole("x", 0, 0); }).starts_with("f.yaml:2:6: thing: x: "));
  EXPECT_TRUE(refusal([&] { (void)fields.map("m", "m"); }).starts_with("f.yaml:3:6: thing: m: "));
  EXPECT_TRUE(refusal([&] { (void)fields.required_text("y"); }).starts_with("f.yaml:5:3: thing: y: is missing"));
}

TEST(YamlPaths, a_change_of_one_place_leaves_the_others_of_an_alias) {
  YAML::Node node = read("l:\n  - &a {name: a, x: 1, m: {p: {q: 1}}}\n  - {<<: *a, name: b}\nm: &m {p: 1}\nn: *m\n");
  set_yaml_path(node, "l.b.x", "2", "--set");
  set_yaml_path(node, "l.b.m.p.q", "2", "--set");
  set_yaml_path(node, "n.p", "2", "--set");
  EXPECT_EQ(json_of(node), Json::parse(R"({"l": [{"name": "a", "x": 1, "m": {"p": {"q": 1}}},
                                                 {"name": "b", "x": 2, "m": {"p": {"q": 2}}}],
                                           "m": {"p": 1}, "n": {"p": 2}})"));
}

/// Suites with a model folder and a task beside them.
class MergedSuite : public testing::Test {
 protected:
  MergedSuite() {
    fs::create_directories(root_ / "model");
    write("rows.jsonl", "{\"q\": 1}\n");
    write("task.yaml", "task: t\ntype: generate_until\ndata: rows.jsonl\nprompt: \"{{q}}\"\ntarget: a\n");
  }
  ~MergedSuite() override { fs::remove_all(root_); }
  void write(const std::string& name, const std::string& text) { std::ofstream(root_ / name) << text; }
  SuiteFile suite(const std::string& modules, const std::vector<std::string>& settings = {}) {
    write("suite.yaml", "suite: s\ntasks: [task.yaml]\nmodules:\n" + modules);
    return read_suite((root_ / "suite.yaml").string(), settings);
  }
  fs::path root_ = fs::temp_directory_path() / ("proctor-merged-" + std::to_string(::getpid()));
};

TEST_F(MergedSuite, a_module_may_be_another_with_changes) {
  constexpr const char* kModules =
      "  - &m {name: a, path: model, dtype: bfloat16, max_length: 64}\n  - {<<: *m, name: b, dtype: float16}\n";
  const SuiteFile file = suite(kModules, {"modules.a.max_length=32"});
  ASSERT_EQ(file.suite.modules.size(), 2u);
  EXPECT_EQ(file.suite.modules[1].path, file.suite.modules[0].path);
  EXPECT_EQ(file.suite.modules[1].dtype, DType::float16);
  EXPECT_EQ(file.suite.modules[0].dtype, DType::bfloat16);
  EXPECT_EQ(file.suite.modules[0].max_length, 32);
  EXPECT_EQ(file.suite.modules[1].max_length, 64);
  EXPECT_EQ(file.resolved.find_first_of("*&"), std::string::npos) << file.resolved;
  write("resolved.yaml", file.resolved);
  EXPECT_EQ(read_suite((root_ / "resolved.yaml").string(), {}).resolved, file.resolved);
}

TEST_F(MergedSuite, one_text_may_be_name_and_path) {
  const SuiteFile file = suite("  - {name: &n model, path: *n}\n");
  write("resolved.yaml", file.resolved);
  EXPECT_EQ(read_suite((root_ / "resolved.yaml").string(), {}).suite.modules[0].name, "model");
}

TEST_F(MergedSuite, places_are_known_after_a_change_from_the_command_line) {
  const std::string modules = "  - {name: a, path: model}\n  - name: b\n    dtype: float32\n";
  EXPECT_NE(
      refusal([&] { suite(modules, {"modules.a.dtype=float16"}); }).find("suite.yaml:5:5: module: path: is missing"),
      std::string::npos);
}

TEST_F(MergedSuite, a_task_file_merges_too) {
  write("task.yaml",
        "task: t\ntype: generate_until\ndata: &d {test: rows.jsonl}\nprompt: \"{{q}}\"\ntarget: a\n"
        "fewshot: {count: 2, <<: {count: 1, seed: 7}}\n");
  const Task task = suite("  - {name: a, path: model}\n", {"tasks.t.fewshot.sampler=first_n"}).suite.tasks[0];
  EXPECT_EQ(task.fewshot.count, 2);
  EXPECT_EQ(task.fewshot.seed, 7u);
  EXPECT_EQ(task.fewshot.sampler, FewShot::Sampler::first_n);
}

}  // namespace
}  // namespace proctor
