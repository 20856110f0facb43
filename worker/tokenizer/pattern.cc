#define PCRE2_CODE_UNIT_WIDTH 8
#include "worker/tokenizer/pattern.h"

#include <pcre2.h>

#include <array>
#include <optional>

#include "sharding/protocol/error.h"
#include "worker/tokenizer/oniguruma.h"

namespace proctor {

struct Pattern::Compiled {
  pcre2_code* code = nullptr;
  pcre2_match_data* match = nullptr;
  pcre2_match_context* context = nullptr;
  ~Compiled() {
    pcre2_match_context_free(context);
    pcre2_match_data_free(match);
    pcre2_code_free(code);
  }
};

namespace {
constexpr std::uint32_t kMatchLimit = 50'000'000, kHeapLimitKiB = 64 << 10;

std::string pcre2_words(int error) {
  std::array<PCRE2_UCHAR, 200> words{};
  pcre2_get_error_message(error, words.data(), words.size());
  return reinterpret_cast<const char*>(words.data());
}
}  // namespace

Pattern Pattern::regex(const std::string& expression) {
  const std::string whole = pcre2_of_oniguruma(expression), older = pcre2_of_oniguruma(expression, Properties::older);
  Pattern pattern = compiled(whole, expression);
  if (older != whole) pattern.older_ = compiled(older, expression).compiled_;
  return pattern;
}

Pattern Pattern::pcre2(const std::string& expression) { return compiled(expression, expression); }

/// `shown`: as its user wrote it.
Pattern Pattern::compiled(const std::string& expression, const std::string& shown) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_compile_context* settings = pcre2_compile_context_create(nullptr);
  pcre2_set_newline(settings, PCRE2_NEWLINE_LF);  // whatever PCRE2 was built with
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                                   PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &error, &offset, settings);
  pcre2_compile_context_free(settings);
  if (!code)
    throw InputError("regular expression '" + shown + "': " + pcre2_words(error) +
                     (shown == expression ? " at " + std::to_string(offset) : ""));
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // where there is no JIT, pcre2_match interprets
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_set_match_limit(context, kMatchLimit);
  pcre2_set_heap_limit(context, kHeapLimitKiB);
  Pattern pattern;
  const auto compiled = std::make_shared<Compiled>();
  compiled->code = code;
  compiled->match = pcre2_match_data_create_from_pattern(code, nullptr);
  compiled->context = context;
  pattern.compiled_ = compiled;
  return pattern;
}

Pattern Pattern::literal(std::string text) {
  Pattern pattern;
  pattern.literal_ = std::move(text);
  return pattern;
}

Pattern Pattern::from_json(const nlohmann::json& json) {
  if (json.contains("String")) return literal(json.at("String"));
  if (json.contains("Regex")) return regex(json.at("Regex"));
  throw InputError("pattern " + json.dump() + " is neither String nor Regex");
}

void Pattern::find_all(std::string_view text, std::vector<std::pair<std::uint32_t, std::uint32_t>>& matches) const {
  if (!compiled_) {
    if (literal_.empty()) return;
    for (auto at = text.find(literal_); at != std::string_view::npos; at = text.find(literal_, at + literal_.size()))
      matches.emplace_back(at, at + literal_.size());
    return;
  }
  if (text.empty()) return;
  const Compiled& regex = older_ && !has_newer_characters(text) ? *older_ : *compiled_;
  std::optional<PCRE2_SIZE> last_end;
  for (PCRE2_SIZE at = 0; at <= text.size();) {
    const int found = pcre2_match(regex.code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                                  PCRE2_NO_UTF_CHECK, regex.match, regex.context);
    if (found == PCRE2_ERROR_NOMATCH) return;
    if (found < 0)
      throw InputError("tokenizer's regular expression on a text of " + std::to_string(text.size()) +
                       " bytes: " + pcre2_words(found));
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(regex.match);
    if (range[0] < range[1] || last_end != range[1]) {
      matches.emplace_back(range[0], range[1]);
      last_end = at = range[1];
      continue;
    }
    do ++at;  // of an empty match behind the last one only the place is passed
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  }
}

std::string Pattern::replace_all(std::string_view text, std::string_view by) const {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> matches;
  find_all(text, matches);
  std::string out;
  std::size_t done = 0;
  for (const auto& [begin, end] : matches) {
    out.append(text.substr(done, begin - done)).append(by);
    done = end;
  }
  return out.append(text.substr(done));
}

}  // namespace proctor
