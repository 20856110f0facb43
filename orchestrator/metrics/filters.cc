#include "orchestrator/metrics/filters.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/option_letter.h"
#include "orchestrator/metrics/regex.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::json;
using Responses = std::vector<std::string>;
using Filter = std::function<Responses(Responses)>;

template <class Map>
Filter each(Map map) {
  return [map](Responses responses) {
    for (std::string& response : responses) response = map(response);
    return responses;
  };
}

/// nlohmann would make a whole number of a fraction.
std::int64_t whole_option(const Json& options, const char* name, std::int64_t fallback, const std::string& where) {
  if (!options.contains(name)) return fallback;
  const Json& value = options.at(name);
  constexpr std::int64_t kMost = 1 << 20;
  if (!value.is_number_integer() || value.get<std::int64_t>() < -kMost || value.get<std::int64_t>() > kMost)
    throw UsageError(where + ": " + name + " is " + value.dump() + ", expected a whole number");
  return value;
}

Filter take_first_k(const Json& options, const std::string& where) {
  const std::int64_t first = whole_option(options, "k", 1, where + ": filter take_first_k");
  if (first < 1) throw UsageError(where + ": filter take_first_k: k must be at least 1");
  return [k = static_cast<std::size_t>(first)](Responses responses) {
    responses.resize(std::min(k, responses.size()));
    return responses;
  };
}

/// The most frequent, the first seen among equals.
Filter majority_vote(const Json&, const std::string&) {
  return [](const Responses& responses) {
    const auto count = [&](const std::string& r) { return std::ranges::count(responses, r); };
    const auto best =
        std::ranges::max_element(responses, [&](const auto& a, const auto& b) { return count(a) < count(b); });
    return best == responses.end() ? Responses{} : Responses{*best};
  };
}

Filter regex(const Json& options, const std::string& where) {
  const Regex pattern(options.value("regex_pattern", std::string(R"(#### (\-?[0-9\.\,]+))")), where);
  const auto select = static_cast<int>(whole_option(options, "group_select", 0, where + ": filter regex"));
  const std::string fallback = options.value("fallback", std::string("[invalid]"));
  return each([=](const std::string& response) {
    const auto matches = pattern.find_all(response);
    const auto index = select < 0 ? static_cast<std::ptrdiff_t>(matches.size()) + select : select;
    if (index < 0 || index >= static_cast<std::ptrdiff_t>(matches.size())) return fallback;
    const auto& groups = matches[static_cast<std::size_t>(index)];
    if (groups.size() == 1) return python::strip(groups[0]);
    const auto first = std::ranges::find_if(groups, [](const std::string& g) { return !g.empty(); });
    return first == groups.end() ? fallback : python::strip(*first);
  });
}

Filter map_values(const Json& options, const std::string&) {
  const auto mapping = options.value("mapping_dict", std::map<std::string, std::string>{});
  const std::string otherwise = options.value("default_value", std::string());
  return each([=](const std::string& response) {
    const auto found = mapping.find(response);
    return found == mapping.end() ? otherwise : found->second;
  });
}

constexpr std::size_t kLetters = 26;

/// Of a number of letters, or the options' texts, of which an empty one is missing.
Options options_of(const Json& choices, const std::string& where) {
  const std::string expected = where + ": choices is " + choices.dump() + ", expected 1 to 26, or a list of texts";
  if (choices.is_string() && choices.get<std::string>().starts_with("{{")) return {};  // no row yet
  const bool counted = choices.is_number_integer();
  const std::size_t count = counted ? choices.get<std::size_t>() : choices.size();
  if (count > kLetters || (counted ? count < 1 : !choices.is_array())) throw UsageError(expected);
  Options options;
  for (std::size_t i = 0; i < count; ++i) {
    const Json text = counted ? Json(" ") : choices[i];
    if (text.is_null() || text == "") continue;
    options.push_back({static_cast<char>('A' + i), text.is_string() ? text.get<std::string>() : text.dump()});
  }
  return options;
}

/// Of a row without options, or whose answer is no letter, the text is kept.
Filter option_letter(const Json& options, const std::string& where) {
  using Style = std::string (*)(const std::string&, const Options&);
  static const std::map<std::string, Style> kStyles = {
      {"mcq", letter_by_format},
      {"mmmu", letter_or_text},
      {"mmbench", single_letter_or_text},
      {"leading", [](const std::string& text, const Options&) { return leading_letter(text); }}};
  const auto style = kStyles.find(options.value("style", "mcq"));
  if (style == kStyles.end())
    throw UsageError(where + ": filter option_letter: style is '" + options.value("style", "") +
                     "', expected mcq, mmmu, mmbench or leading");
  const Options choices = options_of(options.value("choices", Json(8)), where + ": filter option_letter");
  const std::string answer = python::upper(python::strip(options.value("answer", std::string())));
  const bool open = options.contains("answer") &&
                    std::ranges::none_of(choices, [&](const Option& one) { return answer == std::string{one.letter}; });
  if (open || choices.empty()) return each([](const std::string& text) { return text; });
  return each([=, letter = style->second](const std::string& text) { return letter(text, choices); });
}

struct Row {
  const char* name;
  std::vector<std::string> options;
  Filter (*make)(const Json& options, const std::string& where);
};
const Row kTable[] = {
    {"take_first",
     {},
     [](const Json&, const std::string& where) {
       return take_first_k({{"k", 1}}, where);
     }},
    {"take_first_k", {"k"}, take_first_k},
    {"majority_vote", {}, majority_vote},
    {"regex", {"regex_pattern", "group_select", "fallback"}, regex},
    {"option_letter", {"style", "choices", "answer"}, option_letter},
    {"remove_whitespace", {}, [](const Json&, const std::string&) { return each(python::strip); }},
    {"lowercase", {}, [](const Json&, const std::string&) { return each(python::lower); }},
    {"uppercase", {}, [](const Json&, const std::string&) { return each(python::upper); }},
    {"map", {"mapping_dict", "default_value"}, map_values},
};

void refuse_other_options(const FilterStep& step, const Row& row, const std::string& where) {
  std::string known;
  for (const std::string& name : row.options) known += (known.empty() ? "" : ", ") + name;
  for (const auto& [name, value] : step.options.items())
    if (std::ranges::find(row.options, name) == row.options.end())
      throw UsageError(where + ": filter " + step.function + " has no option '" + name +
                       "' (its options: " + (known.empty() ? "none" : known) + ")");
}

Filter make(const FilterStep& step, const std::string& where) {
  std::string known;
  for (const Row& row : kTable) {
    if (step.function == row.name) try {
        refuse_other_options(step, row, where);
        return row.make(step.options, where);
      } catch (const Json::exception& error) {
        throw UsageError(where + ": filter " + step.function + ": " + error.what());
      }
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw UsageError(where + ": filter '" + step.function + "' is not known (known: " + known + ")");
}

}  // namespace

void check_filter(const FilterPipeline& pipeline, const std::string& where) {
  for (const FilterStep& step : pipeline.steps) make(step, where);
}

std::vector<std::string> apply_filter(const FilterPipeline& pipeline, std::vector<std::string> responses) {
  for (const FilterStep& step : pipeline.steps) responses = make(step, pipeline.name)(std::move(responses));
  return responses;
}

}  // namespace proctor
