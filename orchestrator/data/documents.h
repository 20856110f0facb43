// The rows of a task's data, by the names of its files: .jsonl, .json, .csv, .tsv, each also .gz or .zst; .parquet and
// .arrow. docs/data.md.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "orchestrator/data/document.h"
#include "orchestrator/data/table_reader.h"

namespace proctor {

/// Whether the name ends as a file of rows does, packed or not.
bool is_named_as_rows(const std::string& path);

/// Bytes of tables that are wanted, and what becomes of them: `take` sees each row as soon as it is read.
struct Pictures {
  std::vector<std::string> columns = {};
  std::function<void(Document&)> take = {};
};

/// `tables` may be nullptr where no file needs it. Throws InputError: not readable, no rows, a row that is no JSON
/// object or is nested deeper than 256, NaN, a row with more or fewer columns than the first, a column named twice,
/// text that is not UTF-8 (with its line). Blank lines are skipped, and a byte order mark.
std::vector<Document> read_documents(std::span<const std::string> files, TableReader* tables = nullptr,
                                     const Pictures& pictures = {});

}  // namespace proctor
