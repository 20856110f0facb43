// Patterns of Oniguruma's default syntax, as tokenizer.json holds them (tokenizers uses Oniguruma 6.9.10), written for
// PCRE2: the same matches whatever PCRE2's own classes are. What has no counterpart is refused by name. Sources:
// Oniguruma's doc/RE and doc/SYNTAX.md, and what tokenizers 0.22.1 does. Classes are those of
// Unicode 16, whatever PCRE2's tables are (but for \p{C}, \p{Cn} and \X).
#pragma once

#include <string>
#include <string_view>

namespace proctor {

/// `older`: properties as PCRE2 has them, without what is newer: the same matches, and faster, on texts without such a
/// character (has_newer_characters).
enum class Properties { whole, older };

/// For pcre2_compile with PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE. Throws InputError.
std::string pcre2_of_oniguruma(const std::string& pattern, Properties properties = Properties::whole);

/// Some character of a valid UTF-8 text has got one of its properties after Unicode 14.
bool has_newer_characters(std::string_view text);

}  // namespace proctor
