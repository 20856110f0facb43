#include <gtest/gtest.h>

#include "orchestrator/prompts/template.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

Document row(const char* json) { return {nlohmann::ordered_json::parse(json), "d.jsonl", 7}; }
std::string render(const std::string& text, const char* json) {
  return Template(text, "t.yaml:1:1: prompt").render(row(json));
}

TEST(TemplateFilter, options_are_written_as_lettered_lines) {
  EXPECT_EQ(render("{{q}}{{o | lettered | wrap(\"\n\", \"\")}}", R"({"q": "Which?", "o": ["red", 2]})"),
            "Which?\nA. red\nB. 2");
  EXPECT_EQ(render("{{o | lettered}}", R"({"o": []})"), "");
}

TEST(TemplateFilter, a_list_in_pythons_notation_becomes_one) {
  EXPECT_EQ(render("{{o | python_list | lettered}}", R"({"o": "['red', \"it's\"]"})"), "A. red\nB. it's");
  EXPECT_EQ(Template("{{a | python_list}}", "t").value(row(R"({"a": "12 cm"})")), "12 cm") << "any other text is kept";
  EXPECT_EQ(Template("{{a | python_list}}", "t").value(row(R"({"a": ["x"]})")).dump(), R"(["x"])");
}

TEST(TemplateFilter, a_list_is_joined_by_a_text_in_which_lines_end_as_in_jinja) {
  EXPECT_EQ(render(R"({{o | join("\n--\t")}}.)", R"({"o": ["red", 2]})"), "red\n--\t2.");
  EXPECT_EQ(render(R"({{o | join(", ")}})", R"({"o": []})"), "");
  EXPECT_EQ(render(R"({{o | join("\"\\")}})", R"({"o": ["a", "b"]})"), "a\"\\b");
  EXPECT_THROW(render(R"({{o | join(", ")}})", R"({"o": "red"})"), InputError);
}

TEST(TemplateFilter, an_index_becomes_a_letter) {
  EXPECT_EQ(render("{{a | letter}}{{b | letter}}", R"({"a": 0, "b": "3"})"), "AD");
  for (const char* json : {R"({"a": "A"})", R"({"a": 26})", R"({"a": -1})", R"({"a": ""})"}) try {
      render("{{a | letter}}", json);
      ADD_FAILURE() << json;
    } catch (const InputError& error) {
      EXPECT_TRUE(
          std::string(error.what()).starts_with("d.jsonl:7: the template '{{a | letter}}': | letter takes 0 to"))
          << error.what();
    }
}

TEST(TemplateFilter, wrap_keeps_nothing_where_there_is_nothing) {
  const char* hint = R"({{h | wrap("Context: ", "!")}}|{{h | unless("nan")}})";
  EXPECT_EQ(render(hint, R"({"h": "warm"})"), "Context: warm!|warm");
  EXPECT_EQ(render(hint, R"({"h": ""})"), "|");
  EXPECT_EQ(render(hint, R"({"h": null})"), "|");
  EXPECT_EQ(render(hint, R"({"h": "nan"})"), "Context: nan!|");
  EXPECT_EQ(render(R"({{h | unless("nan") | wrap("<", ">")}})", R"({"h": "nan"})"), "");
}

TEST(TemplateFilter, when_chooses_between_two_texts) {
  const char* text = R"({{t | when("open", "A word, please.", 'The letter (A), "please".')}})";
  EXPECT_EQ(render(text, R"({"t": "open"})"), "A word, please.");
  EXPECT_EQ(render(text, R"({"t": "multiple-choice"})"), "The letter (A), \"please\".");
}

TEST(TemplateFilter, changes_each_element_of_a_list) {
  EXPECT_EQ(Template("{{c | wrap('<', '>')}}", "t").value(row(R"({"c": ["a", null, 1]})")).dump(),
            R"(["<a>","","<1>"])");
}

TEST(TemplateFilter, what_is_not_well_formed_is_refused_with_what_there_is) {
  for (const char* text :
       {"{{x | wrap('a')}}", "{{x | wrap('a' 'b')}}", "{{x | wrap('a', 'b'}}", "{{x | when('a', 'b')}}",
        "{{x | unless('')}}", "{{x | letter('a')}}", "{{x | lettered()}}", "{{x | wrap('a', b)}}"})
    EXPECT_THROW(Template(text, "t"), UsageError) << text;
  EXPECT_THROW(render("{{x | lettered}}", R"({"x": "red"})"), InputError);
}

}  // namespace
}  // namespace proctor
