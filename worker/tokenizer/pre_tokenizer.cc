#include "worker/tokenizer/pre_tokenizer.h"

#include <array>

#include "sharding/protocol/error.h"
#include "worker/tokenizer/pattern.h"
#include "worker/tokenizer/unicode.h"

namespace proctor {
namespace {

using Range = std::pair<std::uint32_t, std::uint32_t>;

enum class Behavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

Behavior behavior_from(const std::string& name) {
  if (name == "Removed") return Behavior::removed;
  if (name == "Isolated") return Behavior::isolated;
  if (name == "MergedWithPrevious") return Behavior::merged_with_previous;
  if (name == "MergedWithNext") return Behavior::merged_with_next;
  if (name == "Contiguous") return Behavior::contiguous;
  throw InputError("split behavior '" + name + "' is not known");
}

struct Piece {
  Range range;
  bool match;
};

/// Matches and what lies between them, in order.
std::vector<Piece> pieces_of(std::uint32_t size, const std::vector<Range>& matches, bool invert) {
  std::vector<Piece> pieces;
  std::uint32_t done = 0;
  for (const Range& match : matches) {
    if (match.first > done) pieces.push_back({{done, match.first}, invert});
    pieces.push_back({match, !invert});
    done = match.second;
  }
  if (done < size) pieces.push_back({{done, size}, invert});
  return pieces;
}

void append_pieces(const std::vector<Piece>& pieces, Behavior behavior, std::uint32_t offset, std::vector<Range>& out) {
  bool previous_match = false, has_previous = false;
  for (const Piece& piece : pieces) {
    const Range shifted{piece.range.first + offset, piece.range.second + offset};
    bool join = false;
    switch (behavior) {
      case Behavior::removed:
        if (!piece.match) out.push_back(shifted);
        continue;
      case Behavior::isolated:
        break;
      case Behavior::merged_with_previous:
        join = has_previous && piece.match && !previous_match;
        break;
      case Behavior::merged_with_next:
        join = has_previous && !piece.match && previous_match;
        break;
      case Behavior::contiguous:
        join = has_previous && piece.match == previous_match;
        break;
    }
    if (join)
      out.back().second = shifted.second;
    else
      out.push_back(shifted);
    previous_match = piece.match;
    has_previous = true;
  }
}

template <class FindAll>
void split(Words& words, Behavior behavior, bool invert, FindAll&& find_all) {
  std::vector<Range> out, matches;
  out.reserve(words.text.size() / 4 + 1);
  for (const auto& [begin, end] : words.ranges) {
    matches.clear();
    find_all(std::string_view(words.text).substr(begin, end - begin), matches);
    append_pieces(pieces_of(end - begin, matches, invert), behavior, begin, out);
  }
  std::erase_if(out, [](const Range& range) { return range.first == range.second; });  // an empty match cuts, no more
  words.ranges = std::move(out);
}

/// Matches are single code points that satisfy `is`.
template <class Is>
auto code_points(Is is) {
  return [is](std::string_view text, std::vector<Range>& matches) {
    for (std::size_t at = 0, length = 0; at < text.size(); at += length)
      if (is(code_point_at(text, at, length))) matches.emplace_back(at, at + length);
  };
}

/// Cuts of `length` code points; what is left over is the last.
PreTokenizer fixed_length(const nlohmann::json& json) {
  const std::size_t length = json.value("length", std::size_t{5});
  if (length == 0) throw InputError("pre_tokenizer FixedLength: length is 0");
  return [length](Words& words) {
    split(words, Behavior::isolated, false, [&](std::string_view text, std::vector<Range>& matches) {
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t begin = at;
        for (std::size_t i = 0, bytes = 0; i < length && at < text.size(); ++i, at += bytes)
          code_point_at(text, at, bytes);
        matches.emplace_back(begin, at);
      }
    });
  };
}

std::array<std::string, 256> make_byte_characters() {
  std::array<std::string, 256> table;
  char32_t next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    append_utf8(table[byte], printable ? static_cast<char32_t>(byte) : next++);
  }
  return table;
}

void to_byte_characters(Words& words) {
  std::string text;
  text.reserve(words.text.size() + words.text.size() / 4);
  for (auto& [begin, end] : words.ranges) {
    const auto mapped = static_cast<std::uint32_t>(text.size());
    for (std::uint32_t i = begin; i < end; ++i) text += byte_character(static_cast<unsigned char>(words.text[i]));
    begin = mapped;
    end = static_cast<std::uint32_t>(text.size());
  }
  words.text = std::move(text);
}

/// Rewrites every word by `edit`.
template <class Edit>
void rewrite(Words& words, Edit&& edit) {
  std::string text;
  for (auto& [begin, end] : words.ranges) {
    const std::string word = edit(words.text.substr(begin, end - begin), begin == 0);
    begin = static_cast<std::uint32_t>(text.size());
    text += word;
    end = static_cast<std::uint32_t>(text.size());
  }
  words.text = std::move(text);
}

PreTokenizer byte_level(const nlohmann::json& json) {
  const bool prefix = json.value("add_prefix_space", true), cut = json.value("use_regex", true);
  const Pattern gpt2 = Pattern::regex(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)");
  return [prefix, cut, gpt2](Words& words) {
    if (prefix)
      rewrite(words, [](std::string word, bool) { return word.empty() || word[0] == ' ' ? word : ' ' + word; });
    if (cut)
      split(words, Behavior::isolated, false,
            [&](std::string_view text, std::vector<Range>& matches) { gpt2.find_all(text, matches); });
    to_byte_characters(words);
  };
}

/// \w+|[^\w\s]+ of Rust's regex crate.
void rust_words(std::string_view text, std::vector<Range>& matches) {
  enum class Kind { none, space, word, other };
  Kind before = Kind::none;
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    const char32_t c = code_point_at(text, at, length);
    const Kind kind = is_word_character(c) ? Kind::word : is_white_space(c) ? Kind::space : Kind::other;
    const auto end = static_cast<std::uint32_t>(at + length);
    if (kind == before && kind != Kind::space)
      matches.back().second = end;
    else if (kind != Kind::space)
      matches.emplace_back(at, end);
    before = kind;
  }
}

PreTokenizer metaspace(const nlohmann::json& json) {
  const std::string mark = json.value("replacement", "\xE2\x96\x81");
  std::string scheme = json.value("prepend_scheme", "always");
  if (json.contains("add_prefix_space") && !json.at("add_prefix_space").get<bool>()) scheme = "never";
  const bool cut = json.value("split", true);
  const Pattern space = Pattern::literal(" "), marks = Pattern::literal(mark);
  return [=](Words& words) {
    rewrite(words, [&](std::string word, bool first) {
      word = space.replace_all(word, mark);
      const bool wanted = scheme == "always" || (scheme == "first" && first && words.at_start);
      return wanted && !word.starts_with(mark) ? mark + word : word;
    });
    if (cut)
      split(words, Behavior::merged_with_next, false,
            [&](std::string_view text, std::vector<Range>& matches) { marks.find_all(text, matches); });
  };
}

/// Which pieces begin the text is asked of the text before it was normalised, and a character of it may be several.
void refuse_first_after_others(const nlohmann::json& parts) {
  for (std::size_t i = 1; i < parts.size(); ++i)
    if (parts[i].at("type") == "Metaspace" && parts[i].value("prepend_scheme", "always") == "first")
      throw InputError("pre_tokenizer Metaspace with prepend_scheme 'first' behind another is not supported");
}

PreTokenizer sequence(const nlohmann::json& parts) {
  refuse_first_after_others(parts);
  std::vector<PreTokenizer> steps;
  for (const auto& part : parts) steps.push_back(make_pre_tokenizer(part));
  return [steps](Words& words) {
    for (const auto& step : steps) step(words);
  };
}

template <class FindAll>
PreTokenizer splitting(Behavior behavior, bool invert, FindAll find_all) {
  return [=](Words& words) { split(words, behavior, invert, find_all); };
}

}  // namespace

const std::string& byte_character(unsigned char byte) {
  static const std::array<std::string, 256> table = make_byte_characters();
  return table[byte];
}

PreTokenizer make_pre_tokenizer(const nlohmann::json& json) {
  if (json.is_null()) return [](Words&) {};
  const std::string type = json.at("type");
  if (type == "Sequence") return sequence(json.at("pretokenizers"));
  if (type == "ByteLevel") return byte_level(json);
  if (type == "Metaspace") return metaspace(json);
  if (type == "Split")
    return splitting(behavior_from(json.at("behavior")), json.value("invert", false),
                     [pattern = Pattern::from_json(json.at("pattern"))](auto text, auto& matches) {
                       pattern.find_all(text, matches);
                     });
  if (type == "Digits")
    return splitting(json.value("individual_digits", false) ? Behavior::isolated : Behavior::contiguous, false,
                     code_points(is_numeric));
  if (type == "Punctuation")
    return splitting(behavior_from(json.value("behavior", "Isolated")), false, code_points(is_punctuation));
  if (type == "BertPreTokenizer")
    return [spaces = splitting(Behavior::removed, false, code_points(is_white_space)),
            marks = splitting(Behavior::isolated, false, code_points(is_punctuation))](Words& words) {
      spaces(words);
      marks(words);
    };
  if (type == "WhitespaceSplit") return splitting(Behavior::removed, false, code_points(is_white_space));
  if (type == "CharDelimiterSplit")
    return splitting(Behavior::removed, false,
                     [pattern = Pattern::literal(json.at("delimiter"))](auto text, auto& matches) {
                       pattern.find_all(text, matches);
                     });
  if (type == "FixedLength") return fixed_length(json);
  if (type == "Whitespace") return splitting(Behavior::removed, true, rust_words);
  throw InputError("pre_tokenizer '" + type + "' is not supported");
}

}  // namespace proctor
