// A YAML map read key by key: wrong types and unknown keys are refused with file:line:column and the nearest name.
#pragma once

#include <yaml-cpp/yaml.h>

#include <chrono>
#include <istream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "orchestrator/spec/chat.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/image_options.h"
#include "sharding/protocol/module.h"

namespace proctor {

class YamlFields {
 public:
  /// `what` names the map in messages ("module", "task file"). Throws UsageError if `node` is no map.
  YamlFields(YAML::Node node, std::string file, std::string what);

  bool has(const std::string& key) { return find(key).IsDefined(); }
  YAML::Node find(const std::string& key);
  /// `expected` in words: "a whole number".
  template <class T>
  T get(const std::string& key, const T& fallback, const std::string& expected) {
    const YAML::Node node = find(key);
    if (!node.IsDefined() || node.IsNull()) return fallback;
    try {
      if (!node.IsScalar()) refuse(key, "expected " + expected);
      return node.as<T>();
    } catch (const YAML::Exception&) {
      refuse(key, "expected " + expected + ", found '" + node.Scalar() + "'");
    }
  }
  std::string text(const std::string& key, const std::string& fallback) {
    return get<std::string>(key, fallback, "a text");
  }
  std::string required_text(const std::string& key);
  /// What files and folders are called by: no blanks, slashes or control characters, at most 200 bytes.
  std::string required_name(const std::string& key);
  std::int64_t whole(const std::string& key, std::int64_t fallback, std::int64_t lowest,
                     std::int64_t highest = std::numeric_limits<std::int64_t>::max());
  std::vector<std::string> texts(const std::string& key);  ///< a list of texts, or one
  YamlFields map(const std::string& key, const std::string& what);
  std::chrono::duration<double> seconds(const std::string& key, std::chrono::duration<double> fallback);  ///< "10 min"
  std::uint64_t bytes(const std::string& key, std::uint64_t fallback);                                    ///< "16 MiB"

  /// Refuses keys that nobody asked for.
  void finish() const;
  [[noreturn]] void refuse(const std::string& key, const std::string& why) const;
  std::string where(const YAML::Node& node) const;  ///< file:line:column
  const std::string& file() const { return file_; }
  YAML::Node node() const { return node_; }

 private:
  YAML::Node node_;
  std::string file_, what_;
  std::set<std::string> asked_;
};

std::optional<std::uint64_t> parse_bytes(const std::string& text);
std::optional<double> parse_seconds(const std::string& text);

/// Sets "fewshot.count" below `node`; a step into a list of named maps goes by name (modules.NAME). Throws UsageError.
void set_yaml_path(YAML::Node node, const std::string& path, const std::string& value, const std::string& where);

/// Unquoted scalars are numbers and booleans where they read as such.
nlohmann::json json_of(const YAML::Node& node);

/// `path`, absolute, relative to the folder of `file`.
std::string path_beside(const std::string& file, const std::string& path);

/// file:line:column; the file alone for what --set and `set` added.
std::string place_of(const std::string& file, const YAML::Mark& mark);

/// The keys of a conversation: of a module (chat_template, ...), or below a task's `chat`. In chat_keys.cc.
Chat read_chat(YamlFields& fields);

/// `image`, of a module or a task. In image_keys.cc.
ImageOptions read_image_options(YamlFields fields);

/// `engine` and `python` of a module. In engine_keys.cc. The command of a known engine begins with its Python, or
/// with "": then that is to be found.
std::optional<Engine> read_engine(YamlFields& fields);
/// A program or file that lies beside the suite is found wherever a run is started; any other word stays.
std::string program_beside(const YamlFields& fields, const std::string& argument);

/// In yaml_file.cc. Parses a file; throws UsageError with file:line:column, also for a key that is there twice and a
/// second document. Merge keys (<<) are merged.
YAML::Node load_yaml(const std::string& path);
/// The same of a stream, which messages call `name`.
YAML::Node read_yaml(std::istream& stream, const std::string& name);

}  // namespace proctor
