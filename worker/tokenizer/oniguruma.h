// Patterns of Oniguruma's default syntax, as tokenizer.json holds them (tokenizers uses Oniguruma 6.9.10), written for
// PCRE2: the same matches whatever PCRE2's own classes are. What has no counterpart is refused by name. Sources:
// Oniguruma's doc/RE and doc/SYNTAX.md, and what tokenizers 0.22.1 does. Of code points newer than PCRE2's Unicode
// tables neither knows the class here.
#pragma once

#include <string>

namespace proctor {

/// For pcre2_compile with PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE. Throws InputError.
std::string pcre2_of_oniguruma(const std::string& pattern);

/// What \w holds in Rust's regex crate, of which the pre-tokenizer Whitespace is made; to stand between [ and ].
extern const char* const kRustWord;

}  // namespace proctor
