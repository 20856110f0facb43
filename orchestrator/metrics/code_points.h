// Single code points of UTF-8 texts, with the classes that Python's re has of them. Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

namespace proctor {

struct CodePoint {
  char32_t value = 0xFFFD;  ///< U+FFFD where the bytes are not UTF-8
  std::size_t bytes = 1;    ///< at least 1
};

CodePoint code_point_at(std::string_view text, std::size_t at);  ///< at < text.size()
/// Of Python's string.punctuation: what ASCII prints that is no letter, digit or space.
bool is_punctuation(char c);
bool is_decimal(char32_t code_point);                        ///< re's \d and str.isdecimal(): category Nd
bool is_letter(char32_t code_point);                         ///< str.isalpha()
bool is_word(char32_t code_point);                           ///< re's \w: str.isalnum() and the underscore
bool is_word_at(std::string_view text, std::size_t at);      ///< false at the end
bool is_word_before(std::string_view text, std::size_t at);  ///< false at the start

/// text.replace(from, to) of a `from` that is not empty, in linear time.
std::string replaced(std::string_view text, std::string_view from, std::string_view to);

}  // namespace proctor
