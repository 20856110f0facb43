// Patterns of Oniguruma's default syntax, as tokenizer.json holds them (tokenizers uses Oniguruma 6.9.10), written for
// PCRE2: the same matches whatever PCRE2's own classes are. What has no counterpart is refused by name. Sources:
// Oniguruma's doc/RE and doc/SYNTAX.md, and what tokenizers 0.22.1 does. Classes are those of
// Unicode 16, whatever PCRE2's tables are (but for \p{C}, \p{Cn} and \X).
#pragma once

#include <string>

namespace proctor {

/// For pcre2_compile with PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE. Throws InputError.
std::string pcre2_of_oniguruma(const std::string& pattern);

}  // namespace proctor
