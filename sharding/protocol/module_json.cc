#include "sharding/protocol/module_json.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

template <class T>
void put(Json& json, const char* key, const std::optional<T>& value) {
  if (value) json[key] = *value;
}
template <class T>
void take(const Json& json, const char* key, std::optional<T>& value) {
  if (json.contains(key)) value = json.at(key).get<T>();
}

}  // namespace

void to_json(Json& json, const ImageOptions& options) {
  json = Json::object();
  put(json, "min_pixels", options.min_pixels);
  put(json, "max_pixels", options.max_pixels);
  if (options.processor) json["processor"] = to_string(*options.processor);
  put(json, "upright", options.upright);
}

void from_json(const Json& json, ImageOptions& options) {
  take(json, "min_pixels", options.min_pixels);
  take(json, "max_pixels", options.max_pixels);
  if (json.contains("processor")) options.processor = processor_choice_from(json.at("processor"));
  take(json, "upright", options.upright);
}

void to_json(Json& json, const Module& module) {
  json = {{"name", module.name},
          {"kind", module.kind},
          {"path", module.path},
          {"dtype", to_string(module.dtype)},
          {"tensor_parallel", module.tensor_parallel},
          {"options", module.options}};
  put(json, "max_batch_tokens", module.max_batch_tokens);
  put(json, "max_length", module.max_length);
  put(json, "add_bos_token", module.add_bos_token);
  if (module.image != ImageOptions()) json["image"] = module.image;
  if (module.engine) json["engine"] = {{"name", module.engine->name}, {"command", module.engine->command}};
}

void from_json(const Json& json, Module& module) {
  module.name = json.at("name");
  module.kind = json.at("kind");
  module.path = json.at("path");
  module.dtype = dtype_from(json.at("dtype")).value_or(DType::automatic);
  module.tensor_parallel = json.at("tensor_parallel");
  module.options = json.value("options", Json::object());
  take(json, "max_batch_tokens", module.max_batch_tokens);
  take(json, "max_length", module.max_length);
  take(json, "add_bos_token", module.add_bos_token);
  if (json.contains("image")) module.image = json.at("image").get<ImageOptions>();
  if (json.contains("engine")) module.engine = Engine{json.at("engine").at("name"), json.at("engine").at("command")};
}

void to_json(Json& json, const Cleanup& cleanup) {
  json = {{"policy", static_cast<int>(cleanup.policy)},
          {"watermark", cleanup.watermark},
          {"every", cleanup.every},
          {"leak_tolerance_bytes", cleanup.leak_tolerance_bytes}};
}

void from_json(const Json& json, Cleanup& cleanup) {
  cleanup.policy = static_cast<Cleanup::Policy>(json.at("policy").get<int>());
  cleanup.watermark = json.at("watermark");
  cleanup.every = json.at("every");
  cleanup.leak_tolerance_bytes = json.at("leak_tolerance_bytes");
}

/// Seconds of each wait that a worker has to know.
void to_json(Json& json, const Deadlines& deadlines) {
  json = {{"load", deadlines.load.count()},
          {"progress", deadlines.progress.count()},
          {"teardown", deadlines.teardown.count()}};
}

void from_json(const Json& json, Deadlines& deadlines) {
  deadlines.load = Deadlines::Seconds(json.at("load").get<double>());
  deadlines.progress = Deadlines::Seconds(json.at("progress").get<double>());
  deadlines.teardown = Deadlines::Seconds(json.at("teardown").get<double>());
}

}  // namespace proctor
