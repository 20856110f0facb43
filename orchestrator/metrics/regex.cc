#define PCRE2_CODE_UNIT_WIDTH 8
#include "orchestrator/metrics/regex.h"

#include <pcre2.h>

#include <array>

#include "orchestrator/metrics/python_regex.h"
#include "sharding/protocol/error.h"

namespace proctor {

struct Regex::Compiled {
  pcre2_code* code = nullptr;
  pcre2_match_context* context = nullptr;
  std::uint32_t groups = 0;
  std::string pattern;
  ~Compiled() {
    pcre2_match_context_free(context);
    pcre2_code_free(code);
  }
};

namespace {

std::string words(int error) {
  std::array<PCRE2_UCHAR, 200> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

Regex::Regex(const std::string& pattern, const std::string& where) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  const std::string text = pcre2_pattern(pattern, where);
  pcre2_compile_context* settings = pcre2_compile_context_create(nullptr);
  pcre2_set_newline(settings, PCRE2_NEWLINE_LF);  // whatever PCRE2 was built with
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), PCRE2_UTF | PCRE2_UCP,
                                   &error, &offset, settings);
  pcre2_compile_context_free(settings);
  if (!code)
    throw UsageError(where + ": regular expression '" + pattern + "' at " + std::to_string(offset) + ": " +
                     words(error));
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_set_match_limit(context, 10'000'000);
  pcre2_set_heap_limit(context, 64 << 10);
  std::uint32_t groups = 0;
  pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
  const auto compiled = std::make_shared<Compiled>();
  compiled->code = code;
  compiled->context = context;
  compiled->groups = groups;
  compiled->pattern = pattern;
  compiled_ = compiled;
}

template <class OnMatch>
void Regex::each_match(std::string_view text, OnMatch&& on_match) const {
  pcre2_match_data* match = pcre2_match_data_create_from_pattern(compiled_->code, nullptr);
  std::uint32_t empty_refused = 0;
  for (PCRE2_SIZE at = 0; at <= text.size();) {
    const int found = pcre2_match(compiled_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                                  empty_refused, match, compiled_->context);
    if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
      pcre2_match_data_free(match);
      throw InputError("regular expression '" + compiled_->pattern + "' on a response of " +
                       std::to_string(text.size()) + " bytes: " + words(found));
    }
    if (found == PCRE2_ERROR_NOMATCH) {
      if (!empty_refused) break;
      empty_refused = 0;
      do ++at;
      while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
      continue;
    }
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match);
    on_match(range);
    at = range[1];
    empty_refused = range[0] == range[1] ? PCRE2_NOTEMPTY_ATSTART | PCRE2_ANCHORED : 0;
  }
  pcre2_match_data_free(match);
}

std::vector<std::vector<std::string>> Regex::find_all(std::string_view text) const {
  std::vector<std::vector<std::string>> matches;
  each_match(text, [&](const PCRE2_SIZE* range) {
    std::vector<std::string> groups;
    for (std::uint32_t g = compiled_->groups ? 1 : 0; g <= compiled_->groups; ++g)
      groups.emplace_back(range[2 * g] == PCRE2_UNSET ? ""
                                                      : text.substr(range[2 * g], range[2 * g + 1] - range[2 * g]));
    matches.push_back(std::move(groups));
  });
  return matches;
}

std::string Regex::remove_all(std::string_view text) const {
  std::string out;
  std::size_t done = 0;
  each_match(text, [&](const PCRE2_SIZE* range) {
    out.append(text.substr(done, range[0] - done));
    done = range[1];
  });
  return out.append(text.substr(done));
}

}  // namespace proctor
