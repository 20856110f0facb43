#include "orchestrator/suite/yaml_fields.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "orchestrator/suite/yaml_nodes.h"
#include "sharding/protocol/nearest_name.h"

namespace proctor {
namespace {

struct Unit {
  const char* name;
  double factor;
};

/// "10 min" -> number times unit's factor.
std::optional<double> with_unit(const std::string& text, std::initializer_list<Unit> units) {
  constexpr double kMost = 9e18;  // bytes or seconds; nothing here is longer
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string unit(end, text.data() + text.size());
  std::erase(unit, ' ');
  if (error != std::errc() || !(number >= 0)) return std::nullopt;
  for (const Unit& known : units)
    if (unit == known.name && number * known.factor < kMost) return number * known.factor;
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> parse_bytes(const std::string& text) {
  const auto value = with_unit(text, {{"", 1},
                                      {"B", 1},
                                      {"KiB", 1024.0},
                                      {"MiB", 1048576.0},
                                      {"GiB", 1073741824.0},
                                      {"KB", 1e3},
                                      {"MB", 1e6},
                                      {"GB", 1e9}});
  return value ? std::optional(static_cast<std::uint64_t>(*value)) : std::nullopt;
}

std::optional<double> parse_seconds(const std::string& text) {
  return with_unit(text, {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"min", 60}, {"m", 60}, {"h", 3600}});
}

/// What is changed is replaced, not assigned to: it may stand elsewhere too, by an alias.
void set_yaml_path(YAML::Node node, const std::string& path, const std::string& value, const std::string& where) {
  const auto dot = path.find('.');
  const std::string key = path.substr(0, dot);
  if (node.IsSequence()) {  // a name may have dots of its own
    for (YAML::Node item : node) {
      if (!item.IsMap() || !item["name"].IsDefined()) continue;
      const std::string prefix = item["name"].Scalar() + ".";
      if (path.starts_with(prefix)) return set_yaml_path(item, path.substr(prefix.size()), value, where);
    }
    throw UsageError(where + ": nothing here is named '" + key + "'");
  }
  if (!node.IsMap()) throw UsageError(where + ": '" + key + "' lies below a value that is no map");
  if (dot == std::string::npos) {
    try {
      const YAML::Node loaded = YAML::Load(value);
      node.remove(key);
      node.force_insert(key, loaded);
    } catch (const YAML::Exception&) {
      throw UsageError(where + ": '" + value + "' is not a YAML value");
    }
    return;
  }
  set_yaml_path(own_value(node, key), path.substr(dot + 1), value, where);
}

std::string path_beside(const std::string& file, const std::string& path) {
  const char* home = std::getenv("HOME");
  const bool of_home = home && (path == "~" || path.starts_with("~/"));
  const std::filesystem::path given(of_home ? home + path.substr(1) : path);
  return std::filesystem::absolute(given.is_absolute() ? given : std::filesystem::path(file).parent_path() / given)
      .lexically_normal()
      .string();
}

YamlFields::YamlFields(YAML::Node node, std::string file, std::string what)
    : node_(std::move(node)), file_(std::move(file)), what_(std::move(what)) {
  if (!node_.IsMap()) throw UsageError(where(node_) + ": a " + what_ + " must be a map of keys");
}

YAML::Node YamlFields::find(const std::string& key) {
  asked_.insert(key);
  for (const auto& entry : node_)
    if (entry.first.Scalar() == key) return entry.second;
  return YAML::Node(YAML::NodeType::Undefined);
}

std::string YamlFields::where(const YAML::Node& node) const { return place_of(file_, mark_of(node)); }

void YamlFields::refuse(const std::string& key, const std::string& why) const {
  YAML::Mark mark = mark_of(node_);
  for (const auto& entry : node_)
    if (entry.first.Scalar() == key) mark = mark_of(entry.second);
  throw UsageError(place_of(file_, mark) + ": " + what_ + ": " + key + ": " + why);
}

std::string YamlFields::required_text(const std::string& key) {
  const std::string value = text(key, "");
  if (value.empty()) refuse(key, "is missing");
  return value;
}

std::string YamlFields::required_name(const std::string& key) {
  constexpr std::size_t kMost = 200;  // bytes; file systems take 255, some of which extensions are
  const std::string name = required_text(key);
  const bool odd =
      std::ranges::any_of(name, [](unsigned char c) { return c <= ' ' || c == '/' || c == '\\' || c == 127; });
  if (odd || name[0] == '.') refuse(key, "'" + name + "' cannot name a file (no blanks, no slashes, no dot in front)");
  if (name.size() > kMost) refuse(key, "is longer than " + std::to_string(kMost) + " bytes, which cannot name a file");
  return name;
}

std::int64_t YamlFields::whole(const std::string& key, std::int64_t fallback, std::int64_t lowest,
                               std::int64_t highest) {
  const auto value = get<std::int64_t>(key, fallback, "a whole number");
  if (value < lowest)
    refuse(key, "expected a whole number of at least " + std::to_string(lowest) + ", found " + std::to_string(value));
  if (value > highest)
    refuse(key, "expected a whole number of at most " + std::to_string(highest) + ", found " + std::to_string(value));
  return value;
}

std::vector<std::string> YamlFields::texts(const std::string& key) {
  const YAML::Node node = find(key);
  if (!node.IsDefined() || node.IsNull()) return {};
  if (node.IsScalar()) return {node.Scalar()};
  std::vector<std::string> out;
  if (!node.IsSequence()) refuse(key, "expected a list of texts");
  for (const auto& item : node) {
    if (!item.IsScalar()) refuse(key, "expected a list of texts");
    out.push_back(item.Scalar());
  }
  return out;
}

YamlFields YamlFields::map(const std::string& key, const std::string& what) {
  const YAML::Node node = find(key);
  if (node.IsDefined() && !node.IsNull() && !node.IsMap()) refuse(key, "expected a map of keys");
  return YamlFields(node.IsDefined() && node.IsMap() ? node : YAML::Node(YAML::NodeType::Map), file_, what);
}

std::chrono::duration<double> YamlFields::seconds(const std::string& key, std::chrono::duration<double> fallback) {
  const std::string value = text(key, "");
  if (value.empty()) return fallback;
  constexpr double kMost = 365 * 86400;
  const auto parsed = parse_seconds(value);
  if (!parsed || !(*parsed > 0) || *parsed > kMost)
    refuse(key, "expected a time such as '30 s' or '10 min', at most 8760 h, found '" + value + "'");
  return std::chrono::duration<double>(*parsed);
}

std::uint64_t YamlFields::bytes(const std::string& key, std::uint64_t fallback) {
  const std::string value = text(key, "");
  if (value.empty()) return fallback;
  const auto parsed = parse_bytes(value);
  if (!parsed) refuse(key, "expected a size such as '16 MiB', found '" + value + "'");
  return *parsed;
}

void YamlFields::finish() const {
  for (const auto& entry : node_) {
    const std::string key = entry.first.Scalar();
    if (asked_.contains(key)) continue;
    const std::string near = nearest(key, asked_);
    std::string known;
    for (const std::string& name : asked_) known += (known.empty() ? "" : ", ") + name;
    throw UsageError(
        place_of(file_, entry.first.Mark()) + ": " + what_ + ": unknown key '" + key + "'" +
        (near.empty() ? "; the keys are " + (known.empty() ? "none" : known) : "; did you mean '" + near + "'?"));
  }
}

nlohmann::json json_of(const YAML::Node& node) {
  if (node.IsMap()) {
    nlohmann::json json = nlohmann::json::object();
    for (const auto& entry : node) json[entry.first.Scalar()] = json_of(entry.second);
    return json;
  }
  if (node.IsSequence()) {
    nlohmann::json json = nlohmann::json::array();
    for (const auto& item : node) json.push_back(json_of(item));
    return json;
  }
  if (node.IsNull()) return nullptr;
  bool flag = false;
  std::int64_t whole = 0;
  double number = 0;
  if (node.Tag() != "!" && YAML::convert<bool>::decode(node, flag)) return flag;
  if (node.Tag() != "!" && YAML::convert<std::int64_t>::decode(node, whole)) return whole;
  if (node.Tag() != "!" && YAML::convert<double>::decode(node, number)) return number;
  return node.Scalar();
}

}  // namespace proctor
