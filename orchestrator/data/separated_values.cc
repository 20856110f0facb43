#include "orchestrator/data/separated_values.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

/// Of .csv by RFC 4180: fields may be quoted, and then hold separators, line breaks and doubled quotes. Of .tsv as IANA
/// has text/tab-separated-values: a quotation mark is a character like others.
class SeparatedValues {
 public:
  SeparatedValues(std::istream& stream, char separator, const std::string& file)
      : stream_(stream), separator_(separator), file_(file) {}

  /// The next record that is not blank, and the line where it begins; empty at the end. A quoted empty field is one.
  std::vector<std::string> next(std::size_t& line) {
    std::vector<std::string> fields;
    do {
      line = line_;
      fields = record();
    } while (blank_);
    return fields;
  }

 private:
  std::vector<std::string> record() {
    std::vector<std::string> fields;
    std::string field;
    bool quoted = false, any = false;
    const std::size_t begin = line_;
    blank_ = true;
    for (int c = 0; (c = stream_.get()) != std::istream::traits_type::eof();) {
      any = true;
      if (c == '\n') ++line_;
      if (c != '\n' && c != '\r') blank_ = false;
      if (quoted) {
        if (c != '"')
          field += static_cast<char>(c);
        else if (stream_.peek() == '"')
          field += static_cast<char>(stream_.get());
        else
          quoted = false;
      } else if (c == '"' && field.empty() && separator_ == ',') {
        quoted = true;
      } else if (c == separator_) {
        add(fields, std::exchange(field, ""), begin);
      } else if (c == '\n') {
        break;
      } else if (c != '\r') {
        field += static_cast<char>(c);
      } else if (stream_.peek() != '\n' && stream_.peek() != std::istream::traits_type::eof()) {
        throw InputError(file_ + ":" + std::to_string(line_) +
                         ": a carriage return stands within a field; readers end a row there or drop it: put the field "
                         "into quotation marks, or end lines with a line feed");
      }
    }
    if (quoted) throw InputError(file_ + ":" + std::to_string(begin) + ": a quoted field is not closed");
    if (any) add(fields, std::move(field), begin);
    blank_ = blank_ && any;
    return fields;
  }

  /// Such a field of a .tsv is refused: its quotation marks would be read doubled.
  static bool is_quoted_as_csv(std::string_view field) {
    if (field.size() < 4 || field.front() != '"' || field.back() != '"') return false;
    const std::string_view inside = field.substr(1, field.size() - 2);
    bool doubled = false;
    for (auto at = inside.find('"'); at != std::string_view::npos; at = inside.find('"', at + 2)) {
      doubled = inside.substr(at, 2) == "\"\"";
      if (!doubled) return false;
    }
    return doubled;
  }

  void add(std::vector<std::string>& fields, std::string field, std::size_t line) const {
    if (separator_ == '\t' && is_quoted_as_csv(field))
      throw InputError(file_ + ":" + std::to_string(line) + ": the field " + field +
                       " is quoted as in CSV; in .tsv quotation marks are text: write the file as .csv or JSON Lines");
    fields.push_back(std::move(field));
  }

  std::istream& stream_;
  char separator_;
  const std::string& file_;
  std::size_t line_ = 1;
  bool blank_ = false;  // the last record was an empty line
};

}  // namespace

std::vector<Document> read_separated(std::istream& stream, char separator, const std::string& path) {
  SeparatedValues records(stream, separator, path);
  std::size_t line = 0;
  const std::vector<std::string> names = records.next(line);
  for (std::size_t i = 0; i < names.size(); ++i)
    if (!names[i].empty() && std::ranges::count(names, names[i]) > 1)  // Excel leaves empty ones at the end
      throw InputError(path + ":" + std::to_string(line) + ": two columns are named '" + names[i] + "'");
  std::vector<Document> documents;
  for (std::vector<std::string> values = records.next(line); !values.empty(); values = records.next(line)) {
    Document document{nlohmann::ordered_json::object(), path, line};
    if (values.size() != names.size())
      throw InputError(document.where() + ": " + std::to_string(values.size()) + " columns, the first row names " +
                       std::to_string(names.size()));
    for (std::size_t i = 0; i < names.size(); ++i) document.row[names[i]] = std::move(values[i]);
    try {
      (void)document.row.dump();
    } catch (const nlohmann::json::exception&) {
      throw InputError(document.where() + ": the row is not UTF-8");
    }
    documents.push_back(std::move(document));
  }
  if (documents.empty()) throw InputError(path + ": holds no rows below the names of its columns");
  return documents;
}

}  // namespace proctor
