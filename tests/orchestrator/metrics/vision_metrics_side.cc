// For tools/compare_vision_metrics. A line {"values": [...]} out for each line in:
//   {"function": NAME, "texts": [TEXT, ...]}
//   {"filter": OPTIONS, "rows": [[TEXT, OPTIONS OF ITS OWN], ...]}              option_letter's
//   {"metric": NAME, "rows": [[PREDICTION, [REFERENCE, ...], OPTIONS], ...]}    each row's value
//   {"figure": NAME, "rows": [...]}                                             the figure of all rows
#include <cmath>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "orchestrator/cpython/python_literal.h"
#include "orchestrator/metrics/aggregation.h"
#include "orchestrator/metrics/filters.h"
#include "orchestrator/metrics/text_metric_table.h"
#include "orchestrator/metrics/vqa_answer.h"

namespace {

using Json = nlohmann::json;

const std::map<std::string, std::function<Json(const std::string&)>> kOfTexts = {
    {"to_float",
     [](const std::string& text) {
       const auto value = proctor::python::to_float(text);
       if (!value) return Json();
       return std::isfinite(*value) ? Json(*value) : Json(std::isnan(*value) ? "nan" : *value > 0 ? "inf" : "-inf");
     }},
    {"list_literal",
     [](const std::string& text) {
       const auto list = proctor::python::list_literal(text);
       return list ? Json(*list) : Json();
     }},
    {"vqa_normalised", proctor::vqa_normalised},
};

std::vector<proctor::MetricValue> scored(const std::string& metric, const Json& rows) {
  std::vector<proctor::MetricValue> values;
  for (const Json& row : rows)
    values.push_back(proctor::text_metric(metric, row[0], row[1].get<std::vector<std::string>>(), row[2]));
  return values;
}

Json filtered(const Json& options, const Json& rows) {
  Json values = Json::array();
  for (const Json& row : rows) {
    Json all = options;
    all.update(row[1]);
    values.push_back(proctor::apply_filter({"f", {{"option_letter", all}}}, {row[0]}).at(0));
  }
  return values;
}

Json answer_to(const Json& asked) {
  Json values = Json::array();
  if (asked.contains("filter")) return filtered(asked["filter"], asked["rows"]);
  if (asked.contains("figure")) {
    const std::string metric = asked["figure"];
    values.push_back(proctor::aggregate(metric, scored(metric, asked["rows"])));
  } else if (asked.contains("metric")) {
    for (const proctor::MetricValue& one : scored(asked["metric"], asked["rows"])) values.push_back(one.value);
  } else {
    for (const std::string text : asked["texts"]) values.push_back(kOfTexts.at(asked["function"])(text));
  }
  return values;
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);)
    std::cout << Json{{"values", answer_to(Json::parse(line))}}.dump() << "\n";
}
