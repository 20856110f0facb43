#include "orchestrator/prompts/template.h"

#include <gtest/gtest.h>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

Document row(const char* json) { return {nlohmann::ordered_json::parse(json), "d.jsonl", 7}; }
std::string render(const std::string& text, const char* json) {
  return Template(text, "t.yaml:1:1: prompt").render(row(json));
}

TEST(Template, renders_fields_paths_and_indices_as_python_would) {
  EXPECT_EQ(render("{{ q }} {x} {{a.b}}/{{a.c[1]}}", R"({"q": "why?", "a": {"b": 2.0, "c": [true, null]}})"),
            "why? {x} 2.0/None");
}

TEST(Template, a_column_of_any_name_can_be_named) {
  const char* json =
      R"({"Correct Answer": "one", "option#1": "two", "q.text": "three", "gr\u00f6\u00dfe": 4, "a": {"b c": [5]}})";
  EXPECT_EQ(render(R"({{field["Correct Answer"]}}|{{ field['option#1'] }}|{{field["q.text"]}}|{{größe}})", json),
            "one|two|three|4");
  EXPECT_EQ(render(R"({{a["b c"][0]}}|{{field["a"]["b c"]}})", json), "5|[5]");
  EXPECT_EQ(render(R"({{field["say \"hi\""]}})", R"({"say \"hi\"": 1})"), "1");
  EXPECT_EQ(render("{{field[0]}}", R"({"field": [7]})"), "7") << "a column of that name";
  for (const char* text : {R"({{field["x})", R"({{field["x"}})", R"({{["x"]}})", R"({{field["x"]y}})"})
    EXPECT_THROW(Template(text, "t"), UsageError) << text;
}

TEST(Template, filters_of_a_fixed_list_change_the_text) {
  EXPECT_EQ(render("<{{ q | trim }}>", R"({"q": "\u00a0 a b\n"})"), "<a b>");
  EXPECT_EQ(render("{{q | capitalize}}", R"({"q": "\u00e9tude IN c"})"), "\u00c9tude in c");
  EXPECT_EQ(render("{{q | before(\"_\")}}|{{q|after('_')|trim}}", R"({"q": "one _ two _ three"})"), "one |two _ three");
  EXPECT_EQ(render("{{q | before('|')}}|{{q | after('x')}}", R"({"q": "a|b"})"), "a|") << "all of it; nothing";
  EXPECT_EQ(Template("{{c | trim}}", "t").value(row(R"({"c": [" a", 1]})")).dump(), R"(["a","1"])") << "each of a list";
  for (const char* text : {"{{x | before}}", "{{x | before()}}", "{{x | before('')}}", "{{x | before(_)}}", "{{x |}}",
                           "{{x | trim()}}", "{{x | after('a') b}}"})
    EXPECT_THROW(Template(text, "t"), UsageError) << text;
}

TEST(Template, one_placeholder_keeps_its_type) {
  EXPECT_TRUE(Template("{{c}}", "t").value(row(R"({"c": ["a", "b"]})")).is_array());
  EXPECT_TRUE(Template(" {{c}}", "t").value(row(R"({"c": 1})")).is_string());
}

TEST(Template, a_missing_field_names_the_row_and_what_it_has) {
  try {
    render("{{question}}", R"({"query": 1, "gold": 2})");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(),
                 "d.jsonl:7: the row has no field 'question', which the template '{{question}}' needs (the row has: "
                 "query, gold)");
  }
}

TEST(Template, refuses_code_and_points_to_the_bridge) {
  for (const char* text : {"{% if x %}", "{{ x | upper }}", "{{ x + 1 }}", "{{}}", "{{a..b}}", "{{a[x]}}", "{# c #}"})
    try {
      Template(text, "t.yaml:4:9: prompt");
      ADD_FAILURE() << text;
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find("lm-eval bridge"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("t.yaml:4:9"), std::string::npos);
    }
  EXPECT_THROW(Template("{{x", "t"), UsageError);
}

}  // namespace
}  // namespace proctor
