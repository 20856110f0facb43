// Rows as .csv and .tsv, whose first row names the columns and whose values are texts.
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "orchestrator/data/document.h"

namespace proctor {

/// `path`: for messages. Throws InputError naming file and line.
std::vector<Document> read_separated(std::istream& stream, char separator, const std::string& path);

}  // namespace proctor
