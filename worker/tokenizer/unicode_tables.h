// What Hugging Face's tokenizers takes a code point for, where its tables are of other versions of Unicode than the
// libraries' here: written down by asking it (tests/oracle/make_unicode_tables.py).
#pragma once

#include <span>

namespace proctor {

struct CodePointRange {
  char32_t first, last;
};
struct NamedRange {
  char32_t first, last;
  const char* name;
};
struct LowerCase {
  char32_t from, to;
};

std::span<const CodePointRange> rust_word();  ///< \w of Rust's regex crate
std::span<const CodePointRange> rust_punctuation();
std::span<const CodePointRange> rust_numeric();
std::span<const CodePointRange> rust_other();  ///< what BERT's clean_text drops as a control
std::span<const CodePointRange> rust_nonspacing_marks();
std::span<const CodePointRange> rust_marks();
/// Of Unicode 14, those that its older normal forms neither take apart nor put in order nor compose.
std::span<const CodePointRange> inert_in_normal_forms();
/// Since Unicode 14: general categories, scripts, and derived properties, by the names of Unicode.
std::span<const NamedRange> later_categories();
std::span<const NamedRange> later_scripts();
std::span<const NamedRange> later_properties();
std::span<const LowerCase> later_lower_cases();  ///< by `from`, ascending

}  // namespace proctor
