#include "orchestrator/metrics/text_metrics.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/regex.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

bool is_punctuation(char c) {
  return c > ' ' && c < 127 && std::string_view("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~").find(c) != std::string_view::npos;
}

std::string normalised(std::string text, const nlohmann::json& options) {
  if (options.is_null()) return text;
  for (const std::string& pattern : options.value("regexes_to_ignore", std::vector<std::string>{}))
    text = Regex(pattern, "regexes_to_ignore").remove_all(text);
  if (options.value("ignore_case", false)) text = python::lower(text);
  if (options.value("ignore_punctuation", false)) std::erase_if(text, is_punctuation);
  if (options.value("ignore_numbers", false)) std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
  return text;
}

std::map<std::string, int> words_of(const std::string& text) {
  std::string clean = python::lower(text);
  std::erase_if(clean, is_punctuation);
  std::map<std::string, int> words;
  for (const std::string& word : python::split(clean))
    if (word != "a" && word != "an" && word != "the") ++words[word];
  return words;
}

int count(const std::map<std::string, int>& words) {
  int n = 0;
  for (const auto& [word, times] : words) n += times;
  return n;
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

double token_f1(const std::string& prediction, const std::string& reference) {
  const auto a = words_of(prediction), b = words_of(reference);
  const int total_a = count(a), total_b = count(b);
  if (total_a == 0 || total_b == 0) return total_a == total_b ? 1.0 : 0.0;
  int common = 0;
  for (const auto& [word, times] : a)
    if (const auto found = b.find(word); found != b.end()) common += std::min(times, found->second);
  if (common == 0) return 0.0;
  const double precision = static_cast<double>(common) / total_a, recall = static_cast<double>(common) / total_b;
  return 2 * precision * recall / (precision + recall);
}

}  // namespace proctor
