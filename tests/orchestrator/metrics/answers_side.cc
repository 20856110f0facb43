// For tools/compare_answers: lines {"function": name, "pairs": [[a, b], ...]} or {"function": name, "texts": [...]} in,
// {"values": [...]} out, a null where there is none.
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "orchestrator/metrics/math_answer.h"
#include "orchestrator/metrics/quasi_match.h"

namespace {

using Json = nlohmann::json;

Json json(const std::optional<std::string>& text) { return text ? Json(*text) : Json(); }

const std::map<std::string, std::function<Json(const std::string&)>> kOfTexts = {
    {"boxed_answer", [](const std::string& text) { return json(proctor::boxed_answer(text)); }},
    {"hendrycks_normalised", [](const std::string& text) { return json(proctor::hendrycks_normalised(text)); }},
    {"minerva_normalised", proctor::minerva_normalised},
    {"minerva_answer", proctor::minerva_answer},
    {"quasi_normalised", proctor::quasi_normalised},
};

const std::map<std::string, std::function<Json(const std::string&, const std::string&)>> kOfPairs = {
    {"hendrycks_equal", proctor::hendrycks_equal},
    {"math_equal", proctor::math_equal},
    {"exact_match_stripped", proctor::exact_match_stripped},
    {"quasi_exact_match", proctor::quasi_exact_match},
    {"prefix_exact_match", proctor::prefix_exact_match},
    {"quasi_prefix_exact_match", proctor::quasi_prefix_exact_match},
    {"squad_exact_match", proctor::squad_exact_match},
    {"token_f1", proctor::token_f1},
};

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const Json asked = Json::parse(line);
    const std::string function = asked.at("function");
    Json values = Json::array();
    if (asked.contains("texts"))
      for (const std::string text : asked.at("texts")) values.push_back(kOfTexts.at(function)(text));
    else
      for (const Json& pair : asked.at("pairs")) values.push_back(kOfPairs.at(function)(pair.at(0), pair.at(1)));
    std::cout << Json{{"values", values}}.dump() << "\n";
  }
}
