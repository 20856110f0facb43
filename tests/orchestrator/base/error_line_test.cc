#include "orchestrator/base/error_line.h"

#include <gtest/gtest.h>

namespace proctor {
namespace {

std::string json(const std::string& message, int code = 2) { return error_line(ErrorStyle::json, message, code); }

TEST(ErrorLine, is_for_a_person_by_default) {
  EXPECT_EQ(error_line(ErrorStyle::text, "a.yaml:3:5: no", 2), "proctor: a.yaml:3:5: no");
}

TEST(ErrorLine, has_the_place_that_the_message_begins_with) {
  EXPECT_EQ(json("a.yaml:3:5: task: no"),
            R"({"error":"a.yaml:3:5: task: no","exit":2,"file":"a.yaml","line":3,"column":5})");
  EXPECT_EQ(json("my rows/a.jsonl:17: no object", 5),
            R"({"error":"my rows/a.jsonl:17: no object","exit":5,"file":"my rows/a.jsonl","line":17,"column":null})");
  EXPECT_EQ(
      json("/my models/x: no such model folder"),
      R"({"error":"/my models/x: no such model folder","exit":2,"file":"/my models/x","line":null,"column":null})");
  EXPECT_EQ(json("a:1.yaml: no"), R"({"error":"a:1.yaml: no","exit":2,"file":"a:1.yaml","line":null,"column":null})");
}

TEST(ErrorLine, names_no_file_where_the_message_names_none) {
  for (const std::string message : {"no GPU", "module m: dtype 1.5: no", "--limit 0.x: expected",
                                    "--set modules.a=1: no", "node n: x.yaml is missing", ": x", ""})
    EXPECT_EQ(json(message, 4), R"({"error":")" + message + R"(","exit":4,"file":null,"line":null,"column":null})");
}

TEST(ErrorLine, is_one_line_of_valid_json_whatever_the_message_holds) {
  EXPECT_EQ(json("a\nb \"c\" \xFF", 1),
            "{\"error\":\"a\\nb \\\"c\\\" \xEF\xBF\xBD\",\"exit\":1,\"file\":null,\"line\":null,\"column\":null}");
  EXPECT_EQ(
      json("x.jsonl:99999999999999999999: no"),
      R"({"error":"x.jsonl:99999999999999999999: no","exit":2,"file":"x.jsonl:99999999999999999999","line":null,"column":null})");
}

}  // namespace
}  // namespace proctor
