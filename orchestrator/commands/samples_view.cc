#include "orchestrator/commands/samples_view.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <vector>

#include "orchestrator/report/run_files.h"
#include "orchestrator/suite/yaml_fields.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"
#include "sharding/protocol/nearest_name.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::vector<AnsweredFile> sample_files(const fs::path& root) {
  std::vector<AnsweredFile> files = RunFiles(root).answered();
  std::erase_if(files, [](const AnsweredFile& file) { return !file.scored; });
  return files;
}

/// Throws where `wanted` is none of them.
void refuse_unknown(const std::string& wanted, const std::vector<AnsweredFile>& files, std::string AnsweredFile::*name,
                    const char* what) {
  std::set<std::string> names;
  for (const AnsweredFile& file : files) names.insert(file.*name);
  if (wanted.empty() || names.contains(wanted)) return;
  const std::string near = nearest(wanted, names);
  std::string all;
  for (const std::string& one : names) all += (all.empty() ? "" : ", ") + one;
  throw UsageError("no samples of " + std::string(what) + " '" + wanted + "'" +
                   (near.empty() ? "; there are " + all : "; did you mean '" + near + "'?"));
}

/// Scores of one document; a pair of sums has no right and wrong.
std::vector<std::pair<std::string, Json>> metrics_of(const Json& line) {
  std::vector<std::pair<std::string, Json>> metrics;
  const Json names = line.value("metrics", Json::array());
  for (const auto& name : names)
    if (name.is_string() && line.contains(name.get<std::string>()))
      metrics.emplace_back(name.get<std::string>(), line.at(name.get<std::string>()));
  return metrics;
}

bool is_wanted(const Json& line, SamplesView::Which which) {
  using Which = SamplesView::Which;
  if (which == Which::failed) return line.contains("error");
  if (which == Which::truncated) return line.contains("truncated");
  if (which == Which::all) return true;
  const auto metrics = metrics_of(line);
  return std::ranges::any_of(
      metrics, [](const auto& one) { return one.second.is_number() && one.second.template get<double>() < 1; });
}

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

/// Each line of it behind a bar, so that a prompt's own lines are told from ours.
void put_text(std::ostream& out, const char* head, const std::string& text) {
  out << head << "\n";
  std::size_t begin = 0;
  do {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    out << "  | " << text.substr(begin, end - begin) << "\n";
    begin = end + 1;
  } while (begin <= text.size());
}

void put_sample(std::ostream& out, const AnsweredFile& file, const Json& line) {
  out << "== " << file.module << " / " << file.task << ", document " << line.value("doc_id", Json()).dump();
  if (const Json filter = line.value("filter", Json()); filter.is_string() && filter != "none")
    out << ", filter " << filter.get<std::string>();
  out << "\n";
  std::string before;
  const Json arguments = line.value("arguments", Json::object());
  for (const auto& [name, parts] : arguments.items()) {
    const std::string prompt = parts.is_object() && parts.contains("arg_0") ? text_of(parts["arg_0"]) : "";
    if (prompt != before) put_text(out, "prompt", prompt);
    before = prompt;
    if (parts.is_object() && parts.contains("arg_1") && parts["arg_1"].is_string())
      out << "  continuation " << parts["arg_1"].dump() << "\n";
  }
  if (line.contains("error")) {
    out << "failed: " << text_of(line["error"]) << "\n\n";
    return;
  }
  const Json responses = line.value("resps", Json::array()), filtered = line.value("filtered_resps", Json::array());
  for (const Json& response : responses) {
    const Json several = response.is_array() ? response : Json::array({response});
    for (const Json& one : several) put_text(out, "answer", text_of(one));
  }
  const bool same = responses.size() == 1 && responses[0].is_array() && responses[0].size() == 1 &&
                    filtered.size() == 1 && responses[0][0] == filtered[0];
  if (!same && filtered.is_array() && !filtered.empty()) out << "filtered " << filtered.dump() << "\n";
  out << "target " << line.value("target", Json()).dump() << "\n";
  if (line.contains("truncated")) out << "truncated " << line["truncated"].dump() << " of its requests\n";
  if (line.contains("reasoning_tokens"))
    out << "tokens of reasoning " << line["reasoning_tokens"].dump() << ", of the answer "
        << line.value("answer_tokens", Json()).dump() << (line.contains("unfinished_reasoning") ? "; unfinished" : "")
        << "\n";
  for (const auto& [name, value] : metrics_of(line)) out << name << " " << value.dump() << "\n";
  out << "\n";
}

}  // namespace

void show_samples(const SamplesView& view, std::ostream& out) {
  const std::vector<AnsweredFile> files = sample_files(view.directory);
  refuse_unknown(view.task, files, &AnsweredFile::task, "task");
  refuse_unknown(view.module, files, &AnsweredFile::module, "module");
  std::size_t shown = 0, all = 0;
  for (const AnsweredFile& file : files) {
    if ((!view.task.empty() && file.task != view.task) || (!view.module.empty() && file.module != view.module))
      continue;
    if (const auto why = why_no_file(file.path.string())) throw EnvironmentError(file.path.string() + ": " + *why);
    std::ifstream stream(file.path);
    std::size_t number = 0;
    for (std::string text; out && std::getline(stream, text);) {
      ++number;
      const Json line = Json::parse(text, nullptr, /*allow_exceptions=*/false);
      if (!line.is_object())
        throw EnvironmentError(file.path.string() + ":" + std::to_string(number) + ": is no sample of proctor's");
      ++all;
      if (!is_wanted(line, view.which)) continue;
      ++shown;
      put_sample(out, file, line);
    }
  }
  out << shown << " of " << counted(all, "sample") << "\n";
}

}  // namespace proctor
