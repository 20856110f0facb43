// The rows of a task's data: JSON Lines, keys in file order (they enter lm-eval's document hash); or .csv and .tsv,
// whose first row names the columns and whose values are texts.
#pragma once

#include <istream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace proctor {

struct Document {
  nlohmann::ordered_json row;
  std::string file;
  std::size_t line = 0;  ///< from 1
  std::string where() const { return file + ":" + std::to_string(line); }
};

/// Throws InputError: not readable, no rows, a line that is no JSON object or is nested deeper than 256, a row with
/// more or fewer columns than the first, a column named twice, text that is not UTF-8 (with its line). Blank lines are
/// skipped, and a byte order mark.
std::vector<Document> read_documents(const std::string& path);

/// Past the byte order mark that some editors put in front, if there is one.
void skip_byte_order_mark(std::istream& stream);

}  // namespace proctor
