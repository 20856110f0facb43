// Texts cut into the words that BM25 counts. UTF-8. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace proctor {

/// words: lower case, runs of two or more of re's \w, without Lucene's 33 English stop words (bm25s' default).
/// porter: AutoRAG's porter_stemmer: lower case, runs of \w without NLTK's English stop words, each word once, stemmed.
/// space: AutoRAG's space: SQuAD's normalised text, at white space; of Korean or Japanese what their spaces part.
enum class TextTokenizer { words, porter, space };
/// In the order of TextTokenizer.
std::span<const std::string_view> text_tokenizer_names();

std::vector<std::string> text_tokens(const std::string& text, TextTokenizer tokenizer);

}  // namespace proctor
