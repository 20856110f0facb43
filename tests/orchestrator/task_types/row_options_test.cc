#include "orchestrator/task_types/row_options.h"

#include <gtest/gtest.h>

#include "orchestrator/task_types/task_type.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

Document row(const char* json) { return {nlohmann::ordered_json::parse(json), "d.jsonl", 7}; }

TEST(RowOptions, a_placeholder_is_the_rows_value_with_its_type) {
  const Json options = {{"group", "{{c}}"}, {"choices", {"{{o[0]}}", "x", "{{n}}"}}, {"all", "{{o}}"}};
  EXPECT_EQ(of_row(options, row(R"({"c": 3, "o": ["a", "b"], "n": null})")),
            (Json{{"group", 3}, {"choices", {"a", "x", nullptr}}, {"all", {"a", "b"}}}));
}

TEST(RowOptions, anything_else_is_kept) {
  const Json options = {{"regex_pattern", "a{{2}} (b)"}, {"two", "{{a}}{{b}}"}, {"ignore_case", true}, {"k", 2}};
  EXPECT_EQ(of_row(options, row("{}")), options);
  EXPECT_EQ(of_row(Json(), row("{}")), Json());
}

TEST(RowOptions, a_missing_field_names_the_row) {
  EXPECT_THROW(of_row(Json{{"group", "{{category}}"}}, row(R"({"kind": 1})")), InputError);
}

TEST(RowOptions, a_template_that_is_not_well_formed_is_refused_with_its_place) {
  EXPECT_THROW(check_row_options({{"group", "{{a b}}"}}, "t.yaml:3:5"), UsageError);
  EXPECT_THROW(check_row_options({{"choices", {"{{a | up}}"}}}, "t.yaml:3:5"), UsageError);
  EXPECT_NO_THROW(check_row_options({{"group", "{{a}}"}, {"choices", 3}}, "t.yaml:3:5"));
}

MetricValues scored(const Task& task, const char* json, const std::string& said) {
  const std::vector<Response> responses = {{GenerateAnswer{said, 3, {}, 0}, ""}};
  return generate_until().score(compile(task), row(json), responses, task.filters.at(0));
}

TEST(RowOptions, metrics_and_filters_get_them) {
  Task task;
  task.name = "t";
  task.type = "generate_until";
  task.prompt = "{{q}}";
  task.target = TemplateList("{{a}}");
  task.metrics = {{"exact_match_macro", {{"group", "{{kind}}"}}}};
  task.filters = {{"letter", {{"option_letter", {{"style", "mmmu"}, {"choices", "{{options}}"}}}}}};
  const MetricValue letter =
      scored(task, R"({"q": "", "a": "B", "kind": "x", "options": ["1", "2"]})", "(B) it is").at("exact_match_macro");
  EXPECT_EQ(letter.value, 1.0);
  EXPECT_EQ(letter.keys, std::vector<std::string>{"x"});
  EXPECT_EQ(scored(task, R"({"q": "", "a": "(B) it is", "kind": "x", "options": []})", "(B) it is")
                .at("exact_match_macro")
                .value,
            1.0);
}

}  // namespace
}  // namespace proctor
