// Rows as JSON: an object a line, or an array of them.
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "orchestrator/data/document.h"

namespace proctor {

/// `path`: for messages. Both throw InputError naming file and line.
std::vector<Document> read_json_lines(std::istream& stream, const std::string& path);
/// A .json file: one array of objects, or, as many such files are, an object a line.
std::vector<Document> read_json_rows(std::istream& stream, const std::string& path);

}  // namespace proctor
