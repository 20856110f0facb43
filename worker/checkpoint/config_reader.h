// A config.json that remembers which keys were read: a key neither read nor known to be harmless is refused by name,
// so that a quantised or exotic model is refused, not miscomputed.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace proctor {

/// A key of a configuration, and whether its family reads it.
struct ReadKey {
  std::string name, value;
  bool decides = false;
};

class ConfigReader {
 public:
  ConfigReader(nlohmann::json json, std::string file) : json_(std::move(json)), file_(std::move(file)) {}

  /// The value, or `fallback` where the key is absent or null. Throws InputError for a wrong type.
  template <class T>
  T get(const std::string& key, const T& fallback) {
    const nlohmann::json* value = find(key);
    if (!value || value->is_null()) return fallback;
    try {
      if (holds<T>(*value)) return value->get<T>();
    } catch (const nlohmann::json::exception&) {
    }
    refuse(key, "has the wrong type: " + value->dump());
  }
  /// A number above 0 and below `most`.
  double positive(const std::string& key, double fallback, double most);
  /// Null where the key is absent; counts as read.
  const nlohmann::json* find(const std::string& key);
  /// Throws InputError unless the key is absent, null or `allowed`.
  void require(const std::string& key, const nlohmann::json& allowed, const std::string& why);
  void require_unquantized();
  /// Other names of keys, where the key itself is not there: other, own.
  void rename(std::initializer_list<std::pair<const char*, const char*>> names);
  /// Keys that this family does not read, whatever they say.
  void ignore(std::initializer_list<const char*> keys);
  /// Old names of a type in rope_scaling.
  void rename_rope_type(std::initializer_list<const char*> old, const char* name);
  /// Each is a size that a network may have.
  void require_sizes(std::initializer_list<std::pair<const char*, std::int64_t>> sizes) const;
  void require_layers(const char* key, std::int64_t layers) const;
  [[noreturn]] void refuse(const std::string& key, const std::string& why) const;
  /// Every key has been read or is harmless; else throws InputError naming the first.
  void finish() const;
  const std::string& file() const { return file_; }
  /// What is in the file, by name; as far as it has been read.
  std::vector<ReadKey> keys() const;

 private:
  /// A fraction is no whole number, a number no truth value: nlohmann would convert them.
  template <class T>
  static bool holds(const nlohmann::json& value) {
    if constexpr (std::is_same_v<T, bool>) return value.is_boolean();
    if constexpr (std::is_integral_v<T>) return value.is_number_integer();
    return true;
  }
  nlohmann::json json_;
  std::string file_;
  std::set<std::string> read_;
};

}  // namespace proctor
