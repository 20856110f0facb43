// The JSON forms of asks, answers, requests and responses; MessagePack is the same, in bytes. Asks are written without
// what says nothing, so that their hashes stay when fields are added.
#pragma once

#include <nlohmann/json.hpp>

#include "sharding/protocol/request.h"

namespace proctor {

void to_json(nlohmann::json& json, const Part& part);
void from_json(const nlohmann::json& json, Part& part);
/// {"type": "loglikelihood", ...}
void to_json(nlohmann::json& json, const Ask& ask);
void from_json(const nlohmann::json& json, Ask& ask);
/// {"loglikelihood": {...}}, by the type that was asked for; null: none.
void to_json(nlohmann::json& json, const Answer& answer);
void from_json(const nlohmann::json& json, Answer& answer);
void to_json(nlohmann::json& json, const Request& request);
void from_json(const nlohmann::json& json, Request& request);
/// What of a request counts for its identity: all of it but where images lie.
nlohmann::json content_of(const Request& request);
void to_json(nlohmann::json& json, const Response& response);
void from_json(const nlohmann::json& json, Response& response);

}  // namespace proctor
