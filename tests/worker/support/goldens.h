// What the tests against references read: numbers made by tests/oracle, and the tiny models that they are of.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sharding/protocol/module.h"
#include "sharding/protocol/request.h"
#include "worker/base/progress_unit.h"

namespace proctor {

inline const Announce kQuiet = [](const ProgressUnit&) {};

inline nlohmann::json goldens(const std::string& file) {
  std::ifstream stream(PROCTOR_SOURCE "/tests/data/goldens/" + file);
  return nlohmann::json::parse(stream);
}

inline std::string tiny_model(const std::string& name) {
  return (std::filesystem::path(PROCTOR_TINY_MODELS) / name).string();
}

/// Of rerank_goldens.json.
inline std::vector<Request> pairs_of(const nlohmann::json& goldens) {
  std::vector<Request> requests;
  for (const auto& pair : goldens.at("pairs"))
    requests.push_back({{pair.at(0).get<std::string>(), pair.at(1).get<std::string>()}, ScorePair{}});
  return requests;
}

/// Of an answer, whatever was scored.
inline double log_likelihood(const Response& response) {
  if (const auto* rolling = std::get_if<RollingAnswer>(&response.answer)) return rolling->loglikelihood;
  return std::get<LoglikelihoodAnswer>(response.answer).loglikelihood;
}
inline std::int64_t tokens(const Response& response) {
  return std::visit(
      [](const auto& answer) -> std::int64_t {
        if constexpr (requires { answer.tokens; })
          return answer.tokens;
        else
          return 0;
      },
      response.answer);
}
inline double pair_score(const Response& response) { return std::get<ScorePairAnswer>(response.answer).score; }
inline bool has_answer(const Response& response) { return response.answer.index() > 0; }

/// The module of one of its cases.
inline Module module_of(const nlohmann::json& golden) {
  Module module;
  module.name = "m";
  module.kind = golden.at("kind");
  module.path = tiny_model(golden.at("model"));
  module.options = golden.value("options", nlohmann::json::object());
  if (golden.contains("max_length")) module.max_length = golden.at("max_length").get<std::int64_t>();
  return module;
}

}  // namespace proctor
