#include "orchestrator/scoring/results_table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "orchestrator/metrics/aggregation.h"
#include "sharding/protocol/whole_json.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

std::string number_text(const Json& value) {
  if (!value.is_number()) return "   N/A";
  char text[64];
  std::snprintf(text, sizeof text, "%.4f", value.get<double>());
  return text;
}

/// Digits behind the point that a table needs for these versions; none where one of them is a text.
std::size_t digits_of(const Json& versions) {
  std::size_t digits = 0;
  for (const auto& version : versions) {
    if (!version.is_number()) return 0;
    const std::string text = version.dump();
    if (const auto point = text.find('.'); point != std::string::npos && !text.ends_with(".0"))
      digits = std::max(digits, text.size() - point - 1);
  }
  return digits;
}

/// 1.0 is 1, unless others have digits there.
std::string version_text(const Json& version, std::size_t digits) {
  if (version.is_string()) return version.get<std::string>();
  std::string text = version.dump();
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  if (digits == 0) return text;
  const auto point = text.find('.');
  if (point == std::string::npos) text += '.';
  return text + std::string(digits - (text.size() - text.find('.') - 1), '0');
}

struct Line {
  std::string task, version, filter, shots, metric, arrow, value, error;
};

void add_lines(std::vector<Line>& lines, const std::string& name, const std::string& label, const Json& row,
               const Json& results) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : row.items())
    if (key.find(',') != std::string::npos && key.find("_stderr,") == std::string::npos) keys.push_back(key);
  std::ranges::sort(keys);
  const Json& versions = results.at("versions");
  bool first = true;
  for (const std::string& key : keys) {
    const auto comma = key.find(',');
    const std::string metric = key.substr(0, comma), filter = key.substr(comma + 1);
    Line line;
    if (first) {
      line.task = label;
      if (versions.contains(name)) line.version = version_text(versions[name], digits_of(versions));
    }
    line.shots = results.at("n-shot").contains(name) ? results["n-shot"][name].dump() : "";
    line.filter = filter;
    line.metric = metric;
    line.arrow = higher_is_better(metric) ? "↑" : "↓";
    line.value = number_text(row[key]);
    line.error = number_text(row.value(metric + "_stderr," + filter, Json("N/A")));
    lines.push_back(line);
    first = false;
  }
}

std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool reads_as_number(const std::string& text) { return text.find_first_not_of("0123456789.eE+-") == std::string::npos; }

std::string render(const std::vector<Line>& lines, const std::string& first_column) {
  const std::vector<std::string> head = {first_column, "Version", "Filter", "n-shot", "Metric",
                                         "",           "Value",   "",       "Stderr"};
  std::vector<std::vector<std::string>> rows;
  for (const Line& line : lines)
    rows.push_back(
        {line.task, line.version, line.filter, line.shots, line.metric, line.arrow, line.value, "±", line.error});
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < head.size(); ++c) {
    widths.push_back(width(head[c]));
    for (const auto& row : rows) widths[c] = std::max(widths[c], width(row[c]));
  }
  const bool numbers = std::ranges::all_of(lines, reads_as_number, &Line::version);
  const auto right = [&](std::size_t c) { return (c == 1 && numbers) || c == 3 || c == 6 || c == 8; };
  const auto put = [&](const std::vector<std::string>& cells) {
    std::string text = "|";
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const std::string pad(widths[c] - width(cells[c]), ' ');
      const bool left = !right(c) && !(c == 1 && reads_as_number(cells[c]));
      text += left ? cells[c] + pad + "|" : pad + cells[c] + "|";
    }
    return text + "\n";
  };
  std::string table = put(head) + "|";
  for (std::size_t c = 0; c < head.size(); ++c)
    table += std::string(std::max<std::size_t>(1, widths[c]) - (right(c) ? 1 : 0), '-') + (right(c) ? ":|" : "|");
  table += "\n";
  for (const auto& row : rows) table += put(row);
  return table;
}

/// Of each task whose prompts were longer than the model.
std::string truncated_text(const nlohmann::ordered_json& results) {
  std::string text;
  for (const auto& [task, samples] : results.at("n-samples").items())
    if (const std::size_t truncated = whole_at<std::size_t>(samples, "truncated", 0); truncated > 0)
      text += task + ": " + counted(truncated, "request") + " of " +
              counted(whole_at<std::size_t>(samples, "original", 0), "document") + " truncated to the model's " +
              results.at("max_length").dump() + " tokens (on_long: fail refuses them)\n";
  return text;
}

/// Of each task with images: how they were prepared.
std::string images_text(const Json& results) {
  std::string text;
  const Json rows = results.value("images", Json::object());
  for (const auto& [task, row] : rows.items()) {
    text += task + ": " + counted(whole_at<std::size_t>(row, "images", 0), "image") + " of " +
            std::to_string(std::lround(row.value("mean_tokens", 0.0))) + " tokens on average, " +
            row.value("processor", "") + " processor";
    if (row.contains("max_pixels"))
      text += ", " + row.at("min_pixels").dump() + " to " + row.at("max_pixels").dump() + " pixels";
    text += row.value("upright", false) ? ", turned upright\n" : "\n";
  }
  return text;
}

/// Of each task whose answers begin with reasoning.
std::string reasoning_text(const Json& results) {
  std::string text;
  const auto number = [](const Json& of, const char* key) {
    return of.is_object() && of.contains(key) && of[key].is_number() ? std::lround(of[key].get<double>()) : 0L;
  };
  const Json rows = results.value("reasoning", Json::object());
  for (const auto& [task, row] : rows.items()) {
    const Json trace = row.value("reasoning_tokens", Json()), answer = row.value("answer_tokens", Json());
    text += task + ": reasoning of " + std::to_string(number(trace, "mean")) +
            " tokens (95 %: " + std::to_string(number(trace, "p95")) + "), answers of " +
            std::to_string(number(answer, "mean")) + " (" + std::to_string(number(answer, "p95")) + ")";
    if (const std::size_t unfinished = whole_at<std::size_t>(row, "unfinished", 0); unfinished > 0)
      text +=
          "; " + counted(unfinished, "trace") + " never ended: an empty answer each (max_gen_toks, max_thinking_toks)";
    if (const std::size_t at_budget = whole_at<std::size_t>(row, "ended_at_budget", 0); at_budget > 0)
      text += "; " + counted(at_budget, "trace") + " ended at max_thinking_toks";
    text += "\n";
  }
  return text;
}

}  // namespace

std::string results_table(const nlohmann::ordered_json& results) {
  std::vector<Line> tasks, groups;
  const Json& rows = results.at("results");
  for (const auto& [name, children] : results.at("group_subtasks").items()) {
    add_lines(tasks, name, name, rows.at(name), results);
    for (const auto& child : children)
      add_lines(tasks, child, " - " + child.get<std::string>(), rows.at(child.get<std::string>()), results);
  }
  std::string text = render(tasks, "Tasks") + truncated_text(results) + reasoning_text(results) + images_text(results);
  if (!results.contains("groups")) return text;
  for (const auto& [name, row] : results["groups"].items()) add_lines(groups, name, name, row, results);
  return text + "\n" + render(groups, "Groups");
}

std::string results_heading(const Json& results) {
  const Json& config = results.at("config");
  std::string text = config.at("model_dtype").get<std::string>();
  if (text.empty() && !config.contains("engine")) text = config.at("model_args").value("kind", "");
  if (config.contains("engine"))
    text += (text.empty() ? "engine " : ", engine ") + config["engine"].at("name").get<std::string>();
  if (results.contains("reproducible")) text += ", reproducible: " + results["reproducible"].get<std::string>();
  return text;
}

}  // namespace proctor
