// UTF-8 as the tokenizers need it: Rust's rules (String::from_utf8_lossy, char::is_whitespace), and what tokenizers
// 0.22 takes a code point for (unicode_tables.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace proctor {

/// The code point at text[at], which must begin one of a valid UTF-8 text; `length` is its bytes.
char32_t code_point_at(std::string_view text, std::size_t at, std::size_t& length);
std::size_t previous_code_point(std::string_view text, std::size_t at);  ///< where the one before `at` begins
void append_utf8(std::string& text, char32_t code_point);
bool is_valid_utf8(std::string_view text);
/// Every maximal invalid part becomes one U+FFFD, as Rust does.
std::string utf8_lossy(std::string_view bytes);

/// Bytes of the extended grapheme cluster that begins at text[at].
std::size_t grapheme_length(std::string_view text, std::size_t at);

bool is_ascii(std::string_view text);
bool is_white_space(char32_t code_point);     ///< Unicode White_Space
bool is_word_character(char32_t code_point);  ///< \w of Rust's regex crate
bool is_punctuation(char32_t code_point);     ///< Unicode P, and ASCII's symbols
bool is_numeric(char32_t code_point);         ///< Unicode N
bool is_other(char32_t code_point);           ///< Unicode Cc, Cf, Co

enum class NormalForm { nfc, nfd, nfkc, nfkd };
std::string normalized(std::string_view text, NormalForm form);  ///< throws InputError on invalid UTF-8
std::string lower_case(std::string_view text);
std::string without_marks(std::string_view text);             ///< code points of category M dropped
std::string without_nonspacing_marks(std::string_view text);  ///< Mn dropped

}  // namespace proctor
