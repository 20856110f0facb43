// The Porter stemmer (M. Porter, "An algorithm for suffix stripping", Program 14(3), 1980), with the changes that nltk
// 3.10's PorterStemmer makes in its default mode, NLTK_EXTENSIONS. Pure.
#pragma once

#include <string>
#include <string_view>

namespace proctor {

/// The stem of one word of a-z and 0-9 (digits count as consonants); it can be empty.
std::string porter_stem(std::string_view word);

}  // namespace proctor
