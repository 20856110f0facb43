// read_rope: rope_theta, rope_scaling and rope_parameters of a config.json.
#include <set>

#include "worker/checkpoint/decoder_reader.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

constexpr double kMostTheta = 1e12, kMostFactor = 1e6, kMostPosition = 1e9;

/// One such object, read key by key.
class RopeObject {
 public:
  RopeObject(ConfigReader& reader, std::string key, const Json& json)
      : reader_(reader), key_(std::move(key)), json_(json) {}

  /// A number above 0.
  double number(const char* name, double most) {
    if (!has(name)) reader_.refuse(key_, std::string("has no ") + name);
    return optional(name, 0, most);
  }
  double optional(const char* name, double fallback, double most, bool may_be_zero = false) {
    if (!has(name)) return fallback;
    const Json& value = json_.at(name);
    const double got = value.is_number() ? value.get<double>() : -1;
    if (!((got > 0 || (may_be_zero && got == 0)) && got < most))
      reader_.refuse(key_, std::string("has ") + name + " " + value.dump() + ", which is no such number");
    return value;
  }
  std::vector<double> numbers(const char* name, std::int64_t count) {
    if (!has(name)) reader_.refuse(key_, std::string("has no ") + name);
    const Json& values = json_.at(name);
    if (!values.is_array() || static_cast<std::int64_t>(values.size()) != count)
      reader_.refuse(key_, std::string("has a ") + name + " that is no list of " + std::to_string(count) + " numbers");
    std::vector<double> out;
    for (const Json& value : values) {
      if (!value.is_number() || !(value.get<double>() > 0))
        reader_.refuse(key_, std::string("has ") + value.dump() + " in " + name);
      out.push_back(value);
    }
    return out;
  }
  std::vector<std::int64_t> sizes(const char* name) {
    if (!has(name)) return {};
    std::vector<std::int64_t> out;
    for (const Json& value : json_.at(name)) {
      if (!value.is_number_unsigned()) refuse("has " + value.dump() + " in " + name);
      out.push_back(value);
    }
    return out;
  }
  bool flag(const char* name, bool fallback) {
    if (!has(name)) return fallback;
    if (!json_.at(name).is_boolean())
      reader_.refuse(key_, std::string("has a ") + name + " that is neither true nor false");
    return json_.at(name);
  }
  /// Absent or null counts as not there; the key is read.
  bool has(const char* name) {
    read_.insert(name);
    return json_.contains(name) && !json_.at(name).is_null();
  }
  [[noreturn]] void refuse(const std::string& why) const { reader_.refuse(key_, why); }

  std::string type() {
    for (const auto& [name, value] : json_.items())
      if (value.is_object())
        refuse("gives each kind of layer its own ('" + name + "'), which this family does not have");
    read_.insert({"rope_type", "type"});
    const char* const named = json_.contains("type") ? "type" : "rope_type";
    if (json_.contains("rope_type") && json_.at(named) != json_.at("rope_type"))
      refuse("has a type " + json_.at(named).dump() + " and a rope_type " + json_.at("rope_type").dump());
    if (!json_.contains(named)) refuse("has neither rope_type nor type, so that nobody can tell what it asks for");
    if (!json_.at(named).is_string())
      refuse(std::string("has a ") + named + " that is no text: " + json_.at(named).dump());
    return json_.at(named);
  }
  void finish(const std::string& type) const {
    for (const auto& [name, value] : json_.items())
      if (!read_.contains(name) && !value.is_null())
        refuse("has the key '" + name + "', which rope type " + type + " does not read here");
  }

 private:
  ConfigReader& reader_;
  const std::string key_;
  const Json& json_;
  std::set<std::string> read_;
};

/// 0.1 * m * ln(scale) + 1: what attention gains by, of YaRN (Peng et al. 2024, arXiv:2309.00071).
double magnitude(double scale, double m = 1) { return scale <= 1 ? 1 : 0.1 * m * std::log(scale) + 1; }

void read_yarn(RopeObject& object, const DecoderConfig& config, Rope& rope) {
  rope.scaling = Rope::Scaling::yarn;
  rope.factor = object.number("factor", kMostFactor);
  rope.original_max_position =
      object.optional("original_max_position_embeddings", static_cast<double>(config.max_position), kMostPosition);
  rope.beta_fast = object.optional("beta_fast", 32, kMostFactor);
  rope.beta_slow = object.optional("beta_slow", 1, kMostFactor);
  rope.truncates = object.flag("truncate", true);
  rope.query_beta = object.optional("llama_4_scaling_beta", 0, kMostFactor, true);
  object.has("max_position_embeddings");
  const double of_all = object.optional("mscale_all_dim", 0, kMostFactor, true),
               of_some = object.optional("mscale", 0, kMostFactor, true);
  const double both = of_all > 0 && of_some > 0 ? magnitude(rope.factor, of_some) / magnitude(rope.factor, of_all)
                                                : magnitude(rope.factor);
  rope.attention_factor = object.optional("attention_factor", both, kMostFactor);
}

/// LongRoPE (Ding et al. 2024, arXiv:2402.13753): texts longer than the original length have other factors. PhiMoE
/// keeps that length here, and finds its frequencies by the one at the top: where that is missing, by none.
void read_longrope(ConfigReader& reader, RopeObject& object, const DecoderConfig& config, Rope& rope) {
  rope.scaling = Rope::Scaling::longrope;
  rope.factors = object.numbers("short_factor", rope.width / 2);
  rope.long_factors = object.numbers("long_factor", rope.width / 2);
  const auto positions = static_cast<double>(config.max_position);
  const bool of_phimoe = object.has("short_mscale");
  const double own = object.optional("original_max_position_embeddings", 0, kMostPosition);
  const auto top = static_cast<double>(reader.get<std::int64_t>("original_max_position_embeddings", 0));
  if (of_phimoe && top > 0 && top != own)
    object.refuse("has an original_max_position_embeddings that is not the one beside it");
  if (of_phimoe && top == 0) rope.long_factors = rope.factors;
  const double original = of_phimoe ? own : top, said = object.optional("factor", 1, kMostFactor);
  rope.original_max_position = original > 0 ? original : positions;
  rope.factor = original > 0 ? positions / original : said;
  const double gain =
      rope.factor <= 1 ? 1 : std::sqrt(1 + std::log(rope.factor) / std::log(rope.original_max_position));
  const double factor = object.optional("attention_factor", gain, kMostFactor);
  rope.attention_factor = object.optional("short_mscale", factor, kMostFactor);
  rope.long_attention_factor = object.optional("long_mscale", factor, kMostFactor);
}

/// Below max_position_embeddings, where every row ends, dynamic scaling is none; but for HunYuan's alpha.
void read_dynamic(RopeObject& object, Rope& rope) {
  (void)object.optional("factor", 1, kMostFactor);
  object.has("original_max_position_embeddings");
  const double alpha = object.optional("alpha", 0, kMostFactor);
  if (alpha == 0) return;
  const auto width = static_cast<double>(rope.width);
  rope.theta *= std::pow(alpha, width / (width - 2));
  for (const char* idle : {"beta_fast", "beta_slow", "mscale", "mscale_all_dim"}) object.has(idle);
}

void read_scaling(ConfigReader& reader, const std::string& key, const Json& json, const DecoderConfig& config,
                  Rope& rope) {
  RopeObject object(reader, key, json);
  const std::string type = object.type();
  rope.theta = object.optional("rope_theta", rope.theta, kMostTheta);
  if (object.has("partial_rotary_factor") &&
      rope.width != static_cast<std::int64_t>(static_cast<double>(config.head_dim) *
                                              json.at("partial_rotary_factor").get<double>()))
    object.refuse("rotates another part of a head than this family does");
  if (type == "linear") {
    rope.scaling = Rope::Scaling::linear;
    rope.factor = object.number("factor", kMostFactor);
    object.has("original_max_position_embeddings");
  } else if (type == "llama3") {
    rope.scaling = Rope::Scaling::llama3;
    rope.factor = object.number("factor", kMostFactor);
    rope.low_freq_factor = object.number("low_freq_factor", kMostFactor);
    rope.high_freq_factor = object.number("high_freq_factor", kMostFactor);
    rope.original_max_position = object.number("original_max_position_embeddings", kMostPosition);
    if (!(rope.high_freq_factor > rope.low_freq_factor))
      object.refuse("has a high_freq_factor that is not above its low_freq_factor");
  } else if (type == "yarn") {
    read_yarn(object, config, rope);
  } else if (type == "longrope") {
    read_longrope(reader, object, config, rope);
  } else if (type == "dynamic") {
    read_dynamic(object, rope);
  } else if (type == "default" || type == "mrope") {
    rope.sections = object.sizes("mrope_section");
    rope.interleaves_sections = object.flag("mrope_interleaved", false);
  } else {
    object.refuse("asks for '" + type + "' (default, linear, dynamic, llama3, yarn and longrope are implemented)");
  }
  object.finish(type);
}

}  // namespace

bool has_rope_of_kinds(ConfigReader& reader) {
  const Json* json = reader.find("rope_parameters");
  if (!json || !json->is_object()) return false;
  return json->contains("full_attention") || json->contains("sliding_attention");
}

/// transformers 5 writes rope_parameters; older files rope_theta and rope_scaling.
Rope read_rope(ConfigReader& reader, const DecoderConfig& config, double theta, std::int64_t width, const char* kind) {
  Rope rope;
  rope.width = width;
  rope.theta = reader.positive("rope_theta", theta, kMostTheta);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const Json* json = reader.find(key);
    if (!json || json->is_null()) continue;
    if (!json->is_object()) reader.refuse(key, "is no object: " + json->dump());
    if (kind && std::string(key) == "rope_parameters" && has_rope_of_kinds(reader)) {
      if (!json->contains(kind) || !json->at(kind).is_object())
        reader.refuse(key, std::string("has no object for ") + kind);
      json = &json->at(kind);
    }
    try {
      read_scaling(reader, key, *json, config, rope);
    } catch (const Json::exception& error) {
      reader.refuse(key, std::string("is not readable: ") + error.what());
    }
  }
  return rope;
}

}  // namespace proctor
