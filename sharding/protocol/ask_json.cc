#include "sharding/protocol/ask_json.h"

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

void put(Json& json, const Generate& ask) {
  json["until"] = ask.until;
  json["max_gen_toks"] = ask.max_gen_toks;
  json["fail_on_long"] = fails(ask.on_long);
  if (ask.repetition_penalty) json["repetition_penalty"] = *ask.repetition_penalty;
  if (ask.logprobs) json["logprobs"] = true;
  if (!ask.draw) return;
  json["temperature"] = ask.draw->temperature;
  if (ask.draw->top_p < 1) json["top_p"] = ask.draw->top_p;
  if (ask.draw->top_k > 0) json["top_k"] = ask.draw->top_k;
  if (ask.draw->seed != 0) json["seed"] = ask.draw->seed;
}
void get(const Json& json, Generate& ask) {
  take(json, "until", ask.until);
  take(json, "max_gen_toks", ask.max_gen_toks);
  ask.on_long = on_long_of(json);
  if (json.contains("repetition_penalty")) ask.repetition_penalty = json.at("repetition_penalty").get<double>();
  take(json, "logprobs", ask.logprobs);
  if (!json.contains("temperature")) return;
  Draw& draw = ask.draw.emplace();
  take(json, "temperature", draw.temperature);
  take(json, "top_p", draw.top_p);
  take(json, "top_k", draw.top_k);
  take(json, "seed", draw.seed);
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

void put(Json& json, const RollingAnswer& answer) {
  json = {{"loglikelihood", answer.loglikelihood}, {"tokens", answer.tokens}};
}
void get(const Json& json, RollingAnswer& answer) {
  json.at("loglikelihood").get_to(answer.loglikelihood);
  json.at("tokens").get_to(answer.tokens);
}

void put(Json& json, const GenerateAnswer& answer) {
  json = {{"text", answer.text}, {"tokens", answer.tokens}, {"truncated", answer.truncated}};
  if (!answer.chosen) return;
  json["token_ids"] = answer.chosen->ids;
  json["logprobs"] = answer.chosen->logprobs;
}
void get(const Json& json, GenerateAnswer& answer) {
  json.at("text").get_to(answer.text);
  json.at("tokens").get_to(answer.tokens);
  json.at("truncated").get_to(answer.truncated);
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
