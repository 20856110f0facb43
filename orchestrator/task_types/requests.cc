// Requests that another harness has made: each row is one, its answer goes to responses/ (docs/requests.md). No
// prompts, no metrics.
#include <algorithm>
#include <charconv>
#include <map>

#include "orchestrator/prompts/placed_image.h"
#include "orchestrator/task_types/generation.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

/// One row, read key by key; what is wrong or left over is refused by its line.
class RequestRow {
 public:
  explicit RequestRow(const Document& document) : document_(document) { read_.push_back("id"); }

  bool has(const std::string& key) const { return document_.row.contains(key); }
  template <class T>
  T get(const std::string& key, const char* expected) {
    read_.push_back(key);
    const auto found = document_.row.find(key);
    if (found == document_.row.end()) refuse(key, std::string("is missing; expected ") + expected);
    try {
      return found->template get<T>();
    } catch (const nlohmann::json::exception&) {
      refuse(key, std::string("expected ") + expected + ", found " + found->dump());
    }
  }
  template <class T>
  T get(const std::string& key, const char* expected, const T& fallback) {
    return has(key) ? get<T>(key, expected) : fallback;
  }
  /// The context, with the row's images where `<image>` stands in it.
  std::vector<Part> context() {
    auto text = get<std::string>("context", "a text");
    if (!has("images")) return {std::move(text)};
    read_.push_back("images");
    const std::vector<PlacedImage> placed =
        take_marks(text, document_.images.value_or(std::vector<Image>{}), document_.where());
    return parts_of(std::move(text), placed);
  }
  void finish() const {
    for (const auto& [key, value] : document_.row.items())
      if (std::ranges::find(read_, key) == read_.end())
        refuse(key, "is not known (a request of this type has: " + quoted_list(read_) + ")");
  }
  [[noreturn]] void refuse(const std::string& key, const std::string& why) const {
    throw InputError(document_.where() + ": " + key + ": " + why);
  }

 private:
  const Document& document_;
  std::vector<std::string> read_;
};

Request loglikelihood_of(RequestRow& row, OnLong on_long) {
  std::vector<Part> context = row.context();
  const auto continuation = row.get<std::string>("continuation", "a text");
  if (continuation.empty()) row.refuse("continuation", "is empty, so there is nothing to score");
  return {with_end(std::move(context), continuation), Loglikelihood{on_long}};
}

/// What vLLM's users set.
void read_extras(RequestRow& row, Generation& generation) {
  generation.min_p = row.get("min_p", "a number", generation.min_p);
  generation.presence_penalty = row.get("presence_penalty", "a number", generation.presence_penalty);
  generation.frequency_penalty = row.get("frequency_penalty", "a number", generation.frequency_penalty);
  generation.min_tokens = row.get("min_tokens", "a whole number", generation.min_tokens);
  generation.ignore_eos = row.get("ignore_eos", "true or false", generation.ignore_eos);
  generation.stop_token_ids = row.get("stop_token_ids", "a list of token ids", generation.stop_token_ids);
  const auto bias = row.get<std::map<std::string, double>>("logit_bias", "a map, token id: number", {});
  std::map<TokenId, double> by_id;
  for (const auto& [text, added] : bias) {
    TokenId id = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc() || end != text.data() + text.size())
      row.refuse("logit_bias", "'" + text + "' is no token id");
    by_id[id] = added;
  }
  for (const auto& [id, added] : by_id) generation.logit_bias.push_back({id, added});
}

Request generation_request(RequestRow& row, OnLong on_long) {
  std::vector<Part> context = row.context();
  Generation generation;
  generation.until = row.get<std::vector<std::string>>("until", "a list of texts", {});
  generation.max_gen_toks = row.get("max_gen_toks", "a whole number", generation.max_gen_toks);
  generation.temperature = row.get("temperature", "a number", generation.temperature);
  generation.top_p = row.get("top_p", "a number", generation.top_p);
  generation.top_k = row.get("top_k", "a whole number", generation.top_k);
  if (row.has("repetition_penalty")) generation.repetition_penalty = row.get<double>("repetition_penalty", "a number");
  read_extras(row, generation);
  if (generation.max_gen_toks < 1) row.refuse("max_gen_toks", "is below 1");
  if (const auto wrong = wrong_sampling(generation)) row.refuse(wrong->key, wrong->why);
  Generate generate = generation_of(generation, on_long);
  generate.logprobs = row.get("logprobs", "true or false", false);
  return {std::move(context), std::move(generate)};
}

class Requests final : public TaskType {
 public:
  std::vector<RequestType> request_types() const override {
    return {RequestType::loglikelihood, RequestType::loglikelihood_rolling, RequestType::generate_until};
  }
  std::vector<std::string> default_metrics() const override { return {}; }
  std::vector<std::string> metrics() const override { return {}; }
  std::string question(const TaskTemplates&, const Document&) const override { return ""; }
  std::string example_answer(const TaskTemplates&, const Document&) const override { return ""; }
  std::string target(const TaskTemplates&, const Document&) const override { return ""; }
  bool is_scored() const override { return false; }

  std::vector<Request> requests(const TaskTemplates& task, const Document& document, const Prompt&) const override {
    RequestRow row(document);
    const auto type = row.get<std::string>("type", "loglikelihood, loglikelihood_rolling or generate_until");
    Request request;
    if (type == "loglikelihood")
      request = loglikelihood_of(row, task.task->on_long);
    else if (type == "loglikelihood_rolling")
      request = {{row.get<std::string>("text", "a text")}, LoglikelihoodRolling{}};
    else if (type == "generate_until")
      request = generation_request(row, task.task->on_long);
    else
      row.refuse("type", "'" + type + "' is not one of loglikelihood, loglikelihood_rolling, generate_until");
    row.finish();
    return {std::move(request)};
  }
  MetricValues score(const TaskTemplates&, const Document&, std::span<const Response>,
                     const FilterPipeline&) const override {
    return {};
  }
};

}  // namespace

const TaskType& requests() {
  static const Requests type;
  return type;
}

}  // namespace proctor
