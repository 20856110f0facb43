// For python_re_test.py: lines {"pattern": ..., "text": ...} in, {"found": [[group, ...], ...]} or {"refused": why}
// out.
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "orchestrator/metrics/regex.h"
#include "sharding/protocol/error.h"

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto asked = nlohmann::json::parse(line);
    nlohmann::json answer;
    try {
      answer["found"] = proctor::Regex(asked["pattern"], "t").find_all(asked["text"].get<std::string>());
    } catch (const proctor::Error& error) {
      answer = {{"refused", error.what()}};
    }
    std::cout << answer.dump() << "\n";
  }
}
