#include "sharding/protocol/ask_json.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

template <class T>
void take(const Json& json, const char* key, T& value) {
  if (const auto found = json.find(key); found != json.end()) value = found->get<T>();
}

bool fails(OnLong on_long) { return on_long == OnLong::fail; }
OnLong on_long_of(const Json& json) { return json.value("fail_on_long", false) ? OnLong::fail : OnLong::truncate; }

// ---- asks

void put(Json& json, const Loglikelihood& ask) { json["fail_on_long"] = fails(ask.on_long); }
void get(const Json& json, Loglikelihood& ask) { ask.on_long = on_long_of(json); }

void put(Json&, const LoglikelihoodRolling&) {}
void get(const Json&, LoglikelihoodRolling&) {}

void put(Json& json, const Reasoning& reasoning) {
  json = {{"start", reasoning.start}, {"end", reasoning.end}, {"opened", reasoning.opened}};
  if (reasoning.max_toks) json["max_toks"] = *reasoning.max_toks;
}
void get(const Json& json, Reasoning& reasoning) {
  json.at("start").get_to(reasoning.start);
  json.at("end").get_to(reasoning.end);
  json.at("opened").get_to(reasoning.opened);
  if (json.contains("max_toks")) reasoning.max_toks = json.at("max_toks").get<std::int64_t>();
}

void put(Json& json, const Generate& ask) {
  json["until"] = ask.until;
  json["max_gen_toks"] = ask.max_gen_toks;
  json["fail_on_long"] = fails(ask.on_long);
  if (ask.repetition_penalty) json["repetition_penalty"] = *ask.repetition_penalty;
  if (ask.logprobs) json["logprobs"] = true;
  if (ask.reasoning) put(json["reasoning"], *ask.reasoning);
  if (ask.min_tokens > 0) json["min_tokens"] = ask.min_tokens;
  if (ask.ignore_eos) json["ignore_eos"] = true;
  if (!ask.stop_token_ids.empty()) json["stop_token_ids"] = ask.stop_token_ids;
  for (const LogitBias& bias : ask.logit_bias) json["logit_bias"].push_back(Json::array({bias.id, bias.added}));
  if (ask.presence_penalty != 0) json["presence_penalty"] = ask.presence_penalty;
  if (ask.frequency_penalty != 0) json["frequency_penalty"] = ask.frequency_penalty;
  if (!ask.draw) return;
  json["temperature"] = ask.draw->temperature;
  if (ask.draw->top_p < 1) json["top_p"] = ask.draw->top_p;
  if (ask.draw->top_k > 0) json["top_k"] = ask.draw->top_k;
  if (ask.draw->seed != 0) json["seed"] = ask.draw->seed;
  if (ask.draw->min_p > 0) json["min_p"] = ask.draw->min_p;
}
void get(const Json& json, Generate& ask) {
  take(json, "until", ask.until);
  take(json, "max_gen_toks", ask.max_gen_toks);
  ask.on_long = on_long_of(json);
  if (json.contains("repetition_penalty")) ask.repetition_penalty = json.at("repetition_penalty").get<double>();
  take(json, "logprobs", ask.logprobs);
  if (json.contains("reasoning")) get(json.at("reasoning"), ask.reasoning.emplace());
  take(json, "min_tokens", ask.min_tokens);
  take(json, "ignore_eos", ask.ignore_eos);
  take(json, "stop_token_ids", ask.stop_token_ids);
  if (json.contains("logit_bias"))
    for (const Json& bias : json.at("logit_bias")) ask.logit_bias.push_back({bias.at(0), bias.at(1)});
  take(json, "presence_penalty", ask.presence_penalty);
  take(json, "frequency_penalty", ask.frequency_penalty);
  if (!json.contains("temperature")) return;
  Draw& draw = ask.draw.emplace();
  take(json, "temperature", draw.temperature);
  take(json, "top_p", draw.top_p);
  take(json, "top_k", draw.top_k);
  take(json, "seed", draw.seed);
  take(json, "min_p", draw.min_p);
}

void put(Json& json, const Embed& ask) {
  if (!ask.prompts.empty()) json["prompts"] = ask.prompts;
  if (!ask.passage.empty()) json["passage"] = ask.passage;
}
void get(const Json& json, Embed& ask) {
  take(json, "prompts", ask.prompts);
  take(json, "passage", ask.passage);
}

void put(Json& json, const ScorePair& ask) {
  json["query"] = ask.query;
  json["passage"] = ask.passage;
}
void get(const Json& json, ScorePair& ask) {
  take(json, "query", ask.query);
  take(json, "passage", ask.passage);
}

void put(Json& json, const Compress& ask) { json["target_tokens"] = ask.target_tokens; }
void get(const Json& json, Compress& ask) { take(json, "target_tokens", ask.target_tokens); }

/// [id, score] each.
Json pairs_of(const std::vector<Ranked>& ranking) {
  Json json = Json::array();
  for (const Ranked& one : ranking) json.push_back(Json::array({one.passage, one.score}));
  return json;
}
std::vector<Ranked> ranking_of(const Json& json) {
  std::vector<Ranked> ranking;
  for (const Json& one : json) ranking.push_back({one.at(0), one.at(1)});
  return ranking;
}

void put(Json& json, const Retrieve& ask) {
  json["query"] = ask.query;
  for (const std::vector<Ranked>& list : ask.lists) json["lists"].push_back(pairs_of(list));
}
void get(const Json& json, Retrieve& ask) {
  take(json, "query", ask.query);
  if (json.contains("lists"))
    for (const Json& list : json.at("lists")) ask.lists.push_back(ranking_of(list));
}

// ---- answers

void put(Json& json, const LoglikelihoodAnswer& answer) {
  json = {{"loglikelihood", answer.loglikelihood},
          {"is_greedy", answer.is_greedy},
          {"tokens", answer.tokens},
          {"truncated", answer.truncated}};
}
void get(const Json& json, LoglikelihoodAnswer& answer) {
  json.at("loglikelihood").get_to(answer.loglikelihood);
  json.at("is_greedy").get_to(answer.is_greedy);
  json.at("tokens").get_to(answer.tokens);
  json.at("truncated").get_to(answer.truncated);
}

constexpr std::array<const char*, 3> kTraceEnds = {"own", "budget", "none"};  // of ReasoningTrace::End

void put(Json& json, const RollingAnswer& answer) {
  json = {{"loglikelihood", answer.loglikelihood}, {"tokens", answer.tokens}};
}
void get(const Json& json, RollingAnswer& answer) {
  json.at("loglikelihood").get_to(answer.loglikelihood);
  json.at("tokens").get_to(answer.tokens);
}

void put(Json& json, const GenerateAnswer& answer) {
  json = {{"text", answer.text}, {"tokens", answer.tokens}, {"truncated", answer.truncated}};
  if (answer.trace)
    json["trace"] = {{"end", kTraceEnds[static_cast<std::size_t>(answer.trace->end)]},
                     {"tokens", answer.trace->tokens},
                     {"answer_at", answer.trace->answer_at}};
  if (!answer.chosen) return;
  json["token_ids"] = answer.chosen->ids;
  json["logprobs"] = answer.chosen->logprobs;
}
void get(const Json& json, GenerateAnswer& answer) {
  json.at("text").get_to(answer.text);
  json.at("tokens").get_to(answer.tokens);
  json.at("truncated").get_to(answer.truncated);
  if (json.contains("trace")) {
    const Json& trace = json.at("trace");
    const auto end = std::ranges::find(kTraceEnds, trace.at("end").get<std::string>());
    if (end == kTraceEnds.end()) throw Error(Fault::internal, "a trace that ends in no known way");
    answer.trace = {static_cast<ReasoningTrace::End>(end - kTraceEnds.begin()), trace.at("tokens"),
                    trace.at("answer_at")};
  }
  if (!json.contains("token_ids")) return;
  GeneratedTokens& chosen = answer.chosen.emplace();
  json.at("token_ids").get_to(chosen.ids);
  json.at("logprobs").get_to(chosen.logprobs);
}

/// float32, little-endian.
void put(Json& json, const EmbedAnswer& answer) {
  std::vector<std::uint8_t> bytes(answer.vector.size() * sizeof(float));
  if (!bytes.empty()) std::memcpy(bytes.data(), answer.vector.data(), bytes.size());
  json = {{"vector", Json::binary(std::move(bytes))}, {"tokens", answer.tokens}, {"truncated", answer.truncated}};
}
void get(const Json& json, EmbedAnswer& answer) {
  const auto& bytes = json.at("vector").get_binary();
  if (bytes.size() % sizeof(float) != 0) throw Error(Fault::internal, "a vector is whole float32 numbers");
  answer.vector.resize(bytes.size() / sizeof(float));
  if (!bytes.empty()) std::memcpy(answer.vector.data(), bytes.data(), bytes.size());
  json.at("tokens").get_to(answer.tokens);
  json.at("truncated").get_to(answer.truncated);
}

void put(Json& json, const ScorePairAnswer& answer) {
  json = {{"score", answer.score}, {"tokens", answer.tokens}, {"truncated", answer.truncated}};
}
void get(const Json& json, ScorePairAnswer& answer) {
  json.at("score").get_to(answer.score);
  json.at("tokens").get_to(answer.tokens);
  json.at("truncated").get_to(answer.truncated);
}

void put(Json& json, const CompressAnswer& answer) {
  json = {{"text", answer.text}, {"kept", answer.kept}, {"before", answer.before}};
}
void get(const Json& json, CompressAnswer& answer) {
  json.at("text").get_to(answer.text);
  json.at("kept").get_to(answer.kept);
  json.at("before").get_to(answer.before);
}

void put(Json& json, const RetrieveAnswer& answer) { json = {{"passages", pairs_of(answer.passages)}}; }
void get(const Json& json, RetrieveAnswer& answer) { answer.passages = ranking_of(json.at("passages")); }

constexpr std::size_t kTypes = std::variant_size_v<Ask>;

/// The index of a request type by its name; kTypes: it is not known.
std::size_t type_named(const std::string& name) {
  std::size_t i = 0;
  while (i < kTypes && name != to_string(static_cast<RequestType>(i))) ++i;
  return i;
}

/// Reads the alternative of a request type; in Answer the first one is none.
template <std::size_t kFirst, class Variant, std::size_t... I>
void get_alternative(const Json& json, Variant& value, std::size_t type, std::index_sequence<I...>) {
  ((I == type ? get(json, value.template emplace<I + kFirst>()) : void()), ...);
}

}  // namespace

void to_json(Json& json, const Part& part) {
  if (const auto* text = std::get_if<Text>(&part)) {
    json = *text;
    return;
  }
  const Image& image = std::get<Image>(part);
  json = {{"image", image.hash}, {"path", image.path}, {"height", image.height}, {"width", image.width}};
}

void from_json(const Json& json, Part& part) {
  if (json.is_string())
    part = json.get<Text>();
  else
    part = Image{json.at("image"), json.at("path"), json.at("height"), json.at("width")};
}

void to_json(Json& json, const Ask& ask) {
  json = {{"type", to_string(type_of(ask))}};
  std::visit([&](const auto& body) { put(json, body); }, ask);
}

void from_json(const Json& json, Ask& ask) {
  const auto& type = json.at("type").get_ref<const std::string&>();
  const std::size_t known = type_named(type);
  if (known == kTypes) throw Error(Fault::internal, "request type '" + type + "' is not known");
  get_alternative<0>(json, ask, known, std::make_index_sequence<kTypes>{});
}

void to_json(Json& json, const Answer& answer) {
  if (answer.index() == 0) {
    json = nullptr;
    return;
  }
  Json body;
  std::visit(
      [&](const auto& one) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(one)>, std::monostate>) put(body, one);
      },
      answer);
  json = Json::object();
  json.emplace(to_string(static_cast<RequestType>(answer.index() - 1)), std::move(body));
}

void from_json(const Json& json, Answer& answer) {
  if (json.is_null()) {
    answer = std::monostate();
    return;
  }
  const auto body = json.begin();
  const std::size_t type = body == json.end() ? kTypes : type_named(body.key());
  if (type == kTypes) throw Error(Fault::internal, "an answer of no known type");
  get_alternative<1>(*body, answer, type, std::make_index_sequence<kTypes>{});
}

void to_json(Json& json, const Request& request) { json = {{"parts", request.parts}, {"ask", request.ask}}; }
void from_json(const Json& json, Request& request) {
  json.at("parts").get_to(request.parts);
  json.at("ask").get_to(request.ask);
}

Json content_of(const Request& request) {
  Json json = request;
  for (Json& part : json["parts"])
    if (part.is_object()) part.erase("path");
  return json;
}

void to_json(Json& json, const Response& response) {
  json = {{"answer", response.answer}};
  if (!response.error.empty()) json["error"] = response.error;
}
void from_json(const Json& json, Response& response) {
  json.at("answer").get_to(response.answer);
  take(json, "error", response.error);
}

std::string encode_responses(std::span<const Response> responses) {
  Json json = Json::array();
  for (const Response& response : responses) json.emplace_back(response);
  std::string bytes;
  Json::to_msgpack(json, bytes);
  return bytes;
}

std::vector<Response> decode_responses(std::string_view bytes) {
  try {
    return Json::from_msgpack(bytes.begin(), bytes.end()).get<std::vector<Response>>();
  } catch (const Json::exception& error) {
    throw Error(Fault::internal, std::string("unreadable responses: ") + error.what());
  }
}

}  // namespace proctor
