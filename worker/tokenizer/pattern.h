// A compiled regular expression of a tokenizer.json (Oniguruma's syntax as tokenizers use it, read by PCRE2 with
// Unicode properties, JIT where the platform has it), or a plain string to look for.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace proctor {

class Pattern {
 public:
  static Pattern regex(const std::string& expression);  ///< throws InputError with PCRE2's words
  static Pattern literal(std::string text);
  /// {"String": ...} or {"Regex": ...}
  static Pattern from_json(const nlohmann::json& json);

  /// [begin, end) of every match that is not empty, left to right. `text` is valid UTF-8.
  void find_all(std::string_view text, std::vector<std::pair<std::uint32_t, std::uint32_t>>& matches) const;
  std::string replace_all(std::string_view text, std::string_view by) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
  std::string literal_;
};

}  // namespace proctor
