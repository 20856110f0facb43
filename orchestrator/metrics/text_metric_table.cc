#include "orchestrator/metrics/text_metric_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <string_view>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/corpus_metrics.h"
#include "orchestrator/metrics/math_answer.h"
#include "orchestrator/metrics/open_answer.h"
#include "orchestrator/metrics/quasi_match.h"
#include "orchestrator/metrics/repeats.h"
#include "orchestrator/metrics/rouge.h"
#include "orchestrator/metrics/set_metrics.h"
#include "orchestrator/metrics/short_answers.h"
#include "orchestrator/metrics/text_metrics.h"
#include "orchestrator/metrics/translation_metrics.h"
#include "orchestrator/metrics/vqa_answer.h"
#include "orchestrator/metrics/yes_no.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::json;
using References = std::span<const std::string>;

/// The best of what `score` says of each reference.
template <class Score>
MetricValue best(References references, Score score) {
  double most = 0;
  for (const std::string& reference : references) most = std::max(most, static_cast<double>(score(reference)));
  return {most};
}

template <auto kCompare>
MetricValue compared(const std::string& prediction, References references, const Json&) {
  return best(references, [&](const std::string& one) { return kCompare(prediction, one); });
}

template <double RougeScores::*kMember>
MetricValue rouge_of(const std::string& prediction, References references, const Json& options) {
  const Stem stem = options.value("stem", false) ? Stem::porter : Stem::none;
  return best(references, [&](const std::string& one) { return rouge(prediction, one, stem).*kMember; });
}

MetricValue yes_no(const std::string& prediction, References references, const Json&) {
  return {0, 1, yes_no_counts(prediction, references.front())};
}

/// A row's value of an option, as text.
std::string key(const Json& options, const char* name) {
  const Json& value = options.at(name);
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// The value, and what its document belongs to by these options.
template <auto kCompare>
MetricValue keyed(const std::string& prediction, References references, const Json& options,
                  std::initializer_list<const char*> names) {
  MetricValue value = compared<kCompare>(prediction, references, options);
  for (const char* name : names) value.keys.push_back(key(options, name));
  return value;
}

double same_text(const std::string& prediction, const std::string& reference) {
  return exact_match(prediction, reference, {});
}

MetricValue mme(const std::string& prediction, References references, const Json& options) {
  return keyed<same_yes_no>(prediction, references, options, {"category", "image"});
}

MetricValue circular(const std::string& prediction, References references, const Json& options) {
  MetricValue value = keyed<same_text>(prediction, references, options, {"index"});
  const std::string& index = value.keys[0];
  std::int64_t whole = -1;
  const auto read = std::from_chars(index.data(), index.data() + index.size(), whole);
  if (read.ec != std::errc() || read.ptr != index.data() + index.size() || whole < 0)
    throw InputError("exact_match_circular: index is '" + index + "', expected a whole number");
  return value;
}

struct Row {
  const char* name;
  MetricValue (*score)(const std::string& prediction, References references, const Json& options);
  void (*check)(const Json& options, const std::string& where);
};

void check_none(const Json& options, const std::string& where) {
  if (!options.empty()) throw UsageError(where + ": takes no options");
}

/// Options that say what a document belongs to: all of them, and no other.
template <const char*... kNames>
void check_keys(const Json& options, const std::string& where) {
  const std::initializer_list<std::string_view> names = {kNames...};
  for (const char* name : {kNames...})
    if (!options.contains(name) || !(options[name].is_string() || options[name].is_number()))
      throw UsageError(where + ": needs " + name + ": the row's, such as \"{{" + name + "}}\"");
  for (const auto& [name, value] : options.items())
    if (std::ranges::find(names, std::string_view(name)) == names.end())
      throw UsageError(where + ": has no option '" + name + "'");
}

constexpr char kCategory[] = "category", kImage[] = "image", kGroup[] = "group", kIndex[] = "index";

/// true, false, or a row's text of one of them.
bool ignores_spaces(const Json& options) {
  const Json value = options.value("ignore_spaces", Json(false));
  return value == true || value == "true";
}

void check_contains(const Json& options, const std::string& where) {
  for (const auto& [name, value] : options.items())
    if (name != "ignore_spaces" || !(value.is_boolean() || value.is_string()))
      throw UsageError(where + ": expected ignore_spaces: true or false, found " + name + ": " + value.dump());
}

void check_rouge(const Json& options, const std::string& where) {
  for (const auto& [key, value] : options.items())
    if (key != "stem" || !value.is_boolean())
      throw UsageError(where + ": expected stem: true or false, found " + key + ": " + value.dump());
}

/// A grade: the number that the text is; where it is none, `otherwise`.
MetricValue number(const std::string& prediction, References, const Json& options) {
  const std::string text = python::strip(prediction);
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = read.ec == std::errc() && read.ptr == text.data() + text.size() && std::isfinite(value);
  return {whole ? value : options.value("otherwise", 0.0)};
}

void check_number(const Json& options, const std::string& where) {
  for (const auto& [name, value] : options.items())
    if (name != "otherwise" || !value.is_number())
      throw UsageError(where + ": expected otherwise: the value of a text that is no number, found " + name + ": " +
                       value.dump());
}

const Row kTable[] = {
    {"exact_match",
     [](const std::string& prediction, References references, const Json& options) {
       return best(references, [&](const std::string& one) { return exact_match(prediction, one, options); });
     },
     check_exact_match_options},
    {"number", number, check_number},
    {"token_f1", compared<token_f1>, check_none},
    {"squad_em", compared<squad_exact_match>, check_none},
    {"exact_match_stripped", compared<exact_match_stripped>, check_none},
    {"quasi_exact_match", compared<quasi_exact_match>, check_none},
    {"prefix_exact_match", compared<prefix_exact_match>, check_none},
    {"quasi_prefix_exact_match", compared<quasi_prefix_exact_match>, check_none},
    {"math_equal", compared<math_equal>, check_none},
    {"anls", compared<anls>, check_none},
    {"relaxed_accuracy", compared<relaxed_accuracy>, check_none},
    {"vqa_accuracy",
     [](const std::string& prediction, References references, const Json&) {
       return MetricValue{vqa_accuracy(prediction, references)};
     },
     check_none},
    {"contains",
     [](const std::string& prediction, References references, const Json& options) {
       const Spaces spaces = ignores_spaces(options) ? Spaces::ignore : Spaces::count;
       return best(references, [&](const std::string& one) { return contains(prediction, one, spaces); });
     },
     check_contains},
    {"open_answer", compared<open_answer>, check_none},
    {"pope_accuracy", compared<same_word>, check_none},
    {"pope_precision", yes_no, check_none},
    {"pope_recall", yes_no, check_none},
    {"pope_f1_score", yes_no, check_none},
    {"pope_yes_ratio", yes_no, check_none},
    {"mme_perception_score", mme, check_keys<kCategory, kImage>},
    {"mme_cognition_score", mme, check_keys<kCategory, kImage>},
    {"exact_match_macro",
     [](const std::string& prediction, References references, const Json& options) {
       return keyed<same_text>(prediction, references, options, {"group"});
     },
     check_keys<kGroup>},
    {"exact_match_circular", circular, check_keys<kIndex>},
    {"bleu",
     [](const std::string& prediction, References references, const Json&) {
       return MetricValue{0, 1, bleu_counts(prediction, references)};
     },
     check_none},
    {"chrf",
     [](const std::string& prediction, References references, const Json&) {
       return MetricValue{0, 1, chrf_counts(prediction, references, 0)};
     },
     check_none},
    {"chrf++",
     [](const std::string& prediction, References references, const Json&) {
       return MetricValue{0, 1, chrf_counts(prediction, references, 2)};
     },
     check_none},
    {"ter",
     [](const std::string& prediction, References references, const Json&) {
       return MetricValue{0, 1, ter_counts(prediction, references)};
     },
     check_none},
    {"rouge1", rouge_of<&RougeScores::rouge1>, check_rouge},
    {"rouge2", rouge_of<&RougeScores::rouge2>, check_rouge},
    {"rougeL", rouge_of<&RougeScores::rougeL>, check_rouge},
    {"rougeLsum", rouge_of<&RougeScores::rougeLsum>, check_rouge},
};

const Row* find_row(const std::string& name) {
  const auto* const found = std::ranges::find_if(kTable, [&](const Row& row) { return row.name == name; });
  return found == std::end(kTable) ? nullptr : found;
}

}  // namespace

MetricValue text_metric(const std::string& name, const std::string& prediction, References references,
                        const Json& options) {
  const Row* row = find_row(name);
  PROCTOR_CHECK(row, "metrics are checked where a task is read");
  return row->score(prediction, references, options);
}

std::vector<std::string> text_metric_names() {
  std::vector<std::string> names;
  for (const Row& row : kTable) names.emplace_back(row.name);
  return names;
}

bool is_text_metric(const std::string& name) { return find_row(name) || repeat_metric(name); }

void check_text_metric_options(const std::string& name, const Json& options, const std::string& where) {
  if (const Row* row = find_row(name)) return row->check(options, where);
  Json rest = options;
  const std::string by = rest.value("by", Json("exact_match")).is_string() ? rest.value("by", "exact_match") : "";
  const Row* base = find_row(by);
  if (!base || find_corpus_metric(by) || find_set_metric(by))
    throw UsageError(where + ": by is the metric of each text, such as exact_match, found " + rest["by"].dump());
  rest.erase("by");
  base->check(rest, where);
}

}  // namespace proctor
