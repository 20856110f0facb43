#include "orchestrator/page/packed_samples.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <optional>
#include <string_view>

#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::size_t kBlockBytes = 256 << 10;              // of lines: one is unpacked in a few milliseconds
constexpr std::size_t kShownText = 120, kShownAnswer = 60;  // bytes in the list
enum Flag : unsigned { kFailed = 1, kTruncated = 2, kUnfinished = 4 };

std::string dumped(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);  // a row may hold any bytes
}

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : dumped(value); }

/// On one line, cut between two characters.
std::string shortened(std::string text, std::size_t most) {
  std::ranges::replace_if(
      text, [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  if (const auto begin = text.find_first_not_of(' '); begin != std::string::npos) text.erase(0, begin);
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  return text.substr(0, most) + "…";
}

/// The longest text of a row that `prompt` holds, however deep (a row over answers holds the row that was answered).
const std::string* longest_text(const Json& value, std::string_view prompt, std::size_t depth = 0) {
  constexpr std::size_t kDeepest = 8;
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    return prompt.empty() || prompt.find(text) != prompt.npos ? &text : nullptr;
  }
  const std::string* longest = nullptr;
  if (depth == kDeepest || !value.is_structured()) return longest;
  for (const Json& part : value)
    if (const std::string* text = longest_text(part, prompt, depth + 1);
        text && (!longest || text->size() > longest->size()))
      longest = text;
  return longest;
}

/// Null where there is none.
const Json& at(const Json& object, const std::string& key) {
  static const Json none;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found == object.end() ? none : *found;
}

/// The argument numbered `part` of the request numbered `request`; null where there is none.
const Json& argument(const Json& line, std::size_t request, std::size_t part) {
  return at(at(at(line, "arguments"), "gen_args_" + std::to_string(request)), "arg_" + std::to_string(part));
}

/// What tells a row from others: of what was asked the longest part that is the row's own.
std::string shown_text(const Json& line, const Json& id) {
  const Json &document = at(line, "doc"), &prompt = argument(line, 0, 0);
  const std::string* text = prompt.is_string() ? longest_text(document, prompt.get_ref<const std::string&>()) : nullptr;
  if (!text) text = longest_text(document, "");
  return text ? *text : text_of(id);
}

/// Of choices that were scored: which is likeliest; nothing where these are no choices.
std::optional<std::size_t> chosen(const Json& filtered) {
  if (!filtered.is_array() || filtered.size() < 2) return std::nullopt;
  std::size_t best = 0;
  double most = 0;
  for (std::size_t i = 0; i < filtered.size(); ++i) {
    if (!filtered[i].is_array() || filtered[i].size() != 2 || !filtered[i][0].is_string()) return std::nullopt;
    const double likelihood = std::strtod(filtered[i][0].get_ref<const std::string&>().c_str(), nullptr);
    if (i == 0 || likelihood > most) best = i, most = likelihood;
  }
  return best;
}

std::string answer_of(const Json& line) {
  if (line.contains("error")) return text_of(line["error"]);
  if (const Json& ranking = at(line, "ranking"); ranking.is_array() && !ranking.empty())
    return text_of(ranking[0].is_array() ? ranking[0].at(0) : ranking[0]);
  const Json& filtered = at(line, "filtered_resps");
  if (const auto best = chosen(filtered)) return text_of(argument(line, *best, 1));
  if (filtered.is_array() && !filtered.empty())  // of one continuation its log-likelihood
    return text_of(filtered[0].is_array() && !filtered[0].empty() ? filtered[0][0] : filtered[0]);
  for (const char* key : {"text", "loglikelihood"})  // of responses/
    if (line.contains(key)) return text_of(line[key]);
  return "";
}

/// Of choices the text of the right one: a target is its number, or lm-eval's text of the number.
std::string target_of(const Json& line) {
  const Json& target = at(line, "target");
  if (target.is_null()) return "";
  const std::string text = text_of(target);
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && chosen(at(line, "filtered_resps")))
    if (const Json& choice = argument(line, number, 1); choice.is_string()) return text_of(choice);
  return text;
}

unsigned flags_of(const Json& line) {
  unsigned flags = 0;
  if (line.contains("error")) flags |= kFailed;
  if (const Json truncated = line.value("truncated", Json());
      truncated.is_number() ? truncated != 0 : truncated == true)
    flags |= kTruncated;
  if (line.contains("unfinished_reasoning")) flags |= kUnfinished;
  return flags;
}

class Packing {
 public:
  Packing(const std::set<std::string>& metrics, Blobs& blobs) : metrics_(metrics), blobs_(blobs) {}

  void add(Json line) {
    const std::string filter = line.value("filter", "none");
    const auto place = static_cast<std::size_t>(std::ranges::find(filters_, filter) - filters_.begin());
    if (place == filters_.size()) filters_.push_back(filter);
    const Json id = line.contains("doc_id") ? line["doc_id"] : line.value("id", Json(lines_));
    const std::string row = line.contains("doc_hash") ? text_of(line["doc_hash"]).substr(0, 16) : text_of(id);
    columns_["id"].push_back(id);
    columns_["key"].push_back(row + "/" + std::to_string(seen_[filter + row]++));
    columns_["filter"].push_back(place);
    columns_["flags"].push_back(flags_of(line));
    columns_["text"].push_back(shortened(shown_text(line, id), kShownText));
    columns_["target"].push_back(shortened(target_of(line), kShownAnswer));
    columns_["answer"].push_back(shortened(answer_of(line), kShownAnswer));
    add_values(line);
    for (const char* key : {"doc_hash", "prompt_hash", "target_hash", "metrics"}) line.erase(key);
    if (block_.empty()) first_ = lines_;
    block_ += dumped(line) + "\n";
    ++lines_;
    if (block_.size() >= kBlockBytes) end_block();
  }

  PackedSamples end() {
    end_block();
    columns_["filters"] = filters_;
    columns_["values"] = values_;
    columns_["blocks"] = blocks_;
    return {blobs_.add(dumped(columns_)), lines_};
  }

 private:
  void add_values(const Json& line) {
    std::set<std::string> names = metrics_;
    for (const Json& name : at(line, "metrics"))
      if (name.is_string()) names.insert(name.get<std::string>());
    for (const std::string& name : names)
      if (const auto found = line.find(name); found != line.end() && found->is_number()) {
        Json& column = values_[name];
        while (column.size() < lines_) column.push_back(nullptr);
        column.push_back(*found);
      }
    for (Json& column : values_)
      if (column.size() == lines_) column.push_back(nullptr);
  }

  void end_block() {
    if (block_.empty()) return;
    blocks_.push_back(Json::array({blobs_.add(block_), first_}));
    block_.clear();
  }

  const std::set<std::string>& metrics_;
  Blobs& blobs_;
  std::map<std::string, std::size_t> seen_;
  std::vector<std::string> filters_;
  Json columns_ = Json::object(), values_ = Json::object(), blocks_ = Json::array();
  std::string block_;
  std::size_t first_ = 0, lines_ = 0;
};

}  // namespace

PackedSamples pack_samples(const AnsweredFile& file, const std::set<std::string>& metrics,
                           const std::function<void(const Json&)>& seen, Blobs& blobs) {
  if (const auto why = why_no_file(file.path.string())) throw EnvironmentError(file.path.string() + ": " + *why);
  Packing packing(metrics, blobs);
  std::ifstream stream(file.path);
  std::size_t number = 0;
  for (std::string text; std::getline(stream, text);) {
    ++number;
    Json line = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!line.is_object())
      throw EnvironmentError(file.path.string() + ":" + std::to_string(number) + ": is no sample of proctor's");
    seen(line);
    packing.add(std::move(line));
  }
  return packing.end();
}

}  // namespace proctor
