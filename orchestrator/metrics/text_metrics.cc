#include "orchestrator/metrics/text_metrics.h"

#include <set>
#include <vector>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/code_points.h"
#include "orchestrator/metrics/regex.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

std::string normalised(std::string text, const nlohmann::json& options) {
  if (options.is_null()) return text;
  for (const std::string& pattern : options.value("regexes_to_ignore", std::vector<std::string>{}))
    text = Regex(pattern, "regexes_to_ignore").remove_all(text);
  if (options.value("ignore_case", false)) text = python::lower(text);
  if (options.value("ignore_punctuation", false)) std::erase_if(text, is_punctuation);
  if (options.value("ignore_numbers", false)) std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
  return text;
}

}  // namespace

double exact_match(std::string prediction, std::string reference, const nlohmann::json& options) {
  return normalised(std::move(prediction), options) == normalised(std::move(reference), options) ? 1.0 : 0.0;
}

void check_exact_match_options(const nlohmann::json& options, const std::string& where) {
  static const std::set<std::string> known = {"regexes_to_ignore", "ignore_case", "ignore_punctuation",
                                              "ignore_numbers"};
  for (const auto& [key, value] : options.items())
    if (!known.contains(key)) throw UsageError(where + ": exact_match has no option '" + key + "'");
  try {
    normalised("", options);
  } catch (const nlohmann::json::exception& error) {
    throw UsageError(where + ": exact_match: " + error.what());
  }
}

}  // namespace proctor
