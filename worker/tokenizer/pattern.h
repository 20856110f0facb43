// A compiled regular expression of a tokenizer.json (PCRE2, with JIT where the platform has it), or a plain string to
// look for.
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
  /// Oniguruma's syntax (oniguruma.h). Throws InputError.
  static Pattern regex(const std::string& expression);
  static Pattern pcre2(const std::string& expression);  ///< throws InputError with PCRE2's words
  static Pattern literal(std::string text);
  /// {"String": ...} or {"Regex": ...}
  static Pattern from_json(const nlohmann::json& json);

  /// [begin, end) of every match, left to right, as tokenizers finds them: an empty one not right behind another.
  /// `text` is valid UTF-8.
  void find_all(std::string_view text, std::vector<std::pair<std::uint32_t, std::uint32_t>>& matches) const;
  std::string replace_all(std::string_view text, std::string_view by) const;

 private:
  static Pattern compiled(const std::string& expression, const std::string& shown);
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
  std::shared_ptr<const Compiled> older_;  // the same for texts without newer characters, where it differs
  std::string literal_;
};

}  // namespace proctor
