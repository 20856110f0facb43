// Users' regular expressions in Python's syntax (lm-eval's filters), by PCRE2 with bounds on matching.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace proctor {

class Regex {
 public:
  /// Throws UsageError with PCRE2's words; `where` names the place in the YAML.
  Regex(const std::string& python_pattern, const std::string& where);

  /// re.findall: of each match its groups (the whole match where the pattern has none).
  std::vector<std::vector<std::string>> find_all(std::string_view text) const;
  /// re.sub(pattern, "", text)
  std::string remove_all(std::string_view text) const;

 private:
  struct Compiled;
  template <class OnMatch>
  void each_match(std::string_view text, OnMatch&& on_match) const;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace proctor
