#include "orchestrator/data/json_rows.h"

#include <optional>
#include <string_view>
#include <utility>

#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"

namespace proctor {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

/// Calls `see` with each character that stands outside of quoted texts, until it returns false.
template <class See>
void each_unquoted(std::string_view text, See see) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') ++i;
    if (c == '"') quoted = !quoted;
    if (!quoted && !see(i)) return;
  }
}

/// A value's own destructor would overflow the stack.
void refuse_deep_nesting(std::string_view text, const Document& document) {
  constexpr int kMost = 256;
  int depth = 0;
  each_unquoted(text, [&](std::size_t i) {
    if (text[i] == '[' || text[i] == '{') ++depth;
    if (text[i] == ']' || text[i] == '}') --depth;
    if (depth > kMost) throw InputError(document.where() + ": nested deeper than " + std::to_string(kMost));
    return true;
  });
}

/// NaN or Infinity, which Python's json.dumps writes and JSON has not; "" where there is none.
std::string no_number(std::string_view text) {
  std::string found;
  each_unquoted(text, [&](std::size_t i) {
    for (const std::string_view name : {"NaN", "Infinity"})
      if (text.substr(i).starts_with(name)) found = name;
    return found.empty();
  });
  return found;
}

Document parsed(std::string_view text, const std::string& path, std::size_t line) {
  Document document{{}, path, line};
  refuse_deep_nesting(text, document);
  try {
    document.row = nlohmann::ordered_json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    if (const auto why = why_not_utf8(text)) throw InputError(document.where() + ": is not UTF-8: " + *why);
    if (const std::string name = no_number(text); !name.empty())
      throw InputError(document.where() + ": holds " + name +
                       ", which is no JSON value (Python's json.dumps writes it): write null, or a number");
    throw InputError(document.where() + ": not a JSON value: " + error.what());
  }
  if (!document.row.is_object()) throw InputError(document.where() + ": a row must be a JSON object");
  return document;
}

/// The elements of an array, one text after the other, without reading the whole.
class ArrayElements {
 public:
  /// `stream` stands behind the opening bracket.
  ArrayElements(std::istream& stream, const std::string& path, std::size_t line)
      : stream_(stream), path_(path), line_(line) {}

  /// The next element's text, "" at the array's end; `line`: where it begins.
  std::string next(std::size_t& line) {
    std::string text;
    int depth = 0;
    bool quoted = false;
    for (int c = 0; (c = stream_.get()) != std::istream::traits_type::eof();) {
      if (c == '\n') ++line_;
      const char one = static_cast<char>(c);
      if (text.empty() && kBlanks.find(one) != std::string_view::npos) continue;
      if (!quoted && depth == 0 && (one == ',' || one == ']')) {
        if (one == ']') ended_ = true;
        if (one == ',' && text.empty()) refuse("a comma without a row before it");
        return text;
      }
      if (text.empty()) line = line_;
      text += one;
      if (quoted && one == '\\') {
        text += static_cast<char>(stream_.get());
        continue;
      }
      if (one == '"') quoted = !quoted;
      if (!quoted && (one == '{' || one == '[')) ++depth;
      if (!quoted && (one == '}' || one == ']')) --depth;
    }
    refuse("the array is not closed; is the file complete?");
  }
  bool ended() const { return ended_; }
  void expect_end() {
    for (int c = 0; (c = stream_.get()) != std::istream::traits_type::eof();) {
      if (c == '\n') ++line_;
      if (kBlanks.find(static_cast<char>(c)) == std::string_view::npos) refuse("something stands behind the array");
    }
  }
  [[noreturn]] void refuse(const std::string& why) const {
    throw InputError(path_ + ":" + std::to_string(line_) + ": " + why);
  }

 private:
  std::istream& stream_;
  const std::string& path_;
  std::size_t line_;
  bool ended_ = false;
};

std::vector<Document> read_array(std::istream& stream, const std::string& path, std::size_t line) {
  std::vector<Document> documents;
  ArrayElements elements(stream, path, line);
  while (!elements.ended()) {
    std::size_t begins = line;
    const std::string text = elements.next(begins);
    if (text.empty() && (!elements.ended() || !documents.empty())) elements.refuse("a comma without a row behind it");
    if (!text.empty()) documents.push_back(parsed(text, path, begins));
  }
  elements.expect_end();
  if (documents.empty()) throw InputError(path + ": holds no rows; expected an array of JSON objects");
  return documents;
}

}  // namespace

std::vector<Document> read_json_lines(std::istream& stream, const std::string& path) {
  std::vector<Document> documents;
  std::string text;
  for (std::size_t line = 1; std::getline(stream, text); ++line) {
    const std::size_t begin = text.find_first_not_of(kBlanks);
    if (begin == std::string::npos) continue;
    if (documents.empty() && text[begin] == '[')
      throw InputError(
          path + ":" + std::to_string(line) +
          ": a row must be a JSON object, and this begins a list (a file that is one array of rows is named .json)");
    documents.push_back(parsed(text, path, line));
  }
  if (documents.empty()) throw InputError(path + ": holds no rows; each line is one JSON object");
  return documents;
}

std::vector<Document> read_json_rows(std::istream& stream, const std::string& path) {
  std::size_t line = 1;
  while (kBlanks.find(static_cast<char>(stream.peek())) != std::string_view::npos && stream.good())
    if (stream.get() == '\n') ++line;
  if (stream.peek() == '[') {
    stream.get();
    return read_array(stream, path, line);
  }
  std::vector<Document> documents = read_json_lines(stream, path);
  for (Document& one : documents) one.number += line - 1;
  return documents;
}

}  // namespace proctor
