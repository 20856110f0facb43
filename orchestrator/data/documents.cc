#include "orchestrator/data/documents.h"

#include <algorithm>
#include <array>
#include <utility>

#include "orchestrator/data/json_rows.h"
#include "orchestrator/data/separated_values.h"
#include "orchestrator/data/text_file.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"

namespace proctor {
namespace {

constexpr std::array<const char*, 6> kEndings = {".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow"};

std::vector<Document> read_table(const std::string& path, TableReader* tables, const Pictures& pictures) {
  PROCTOR_CHECK(tables, "whoever has tables has a reader of them");
  if (const auto why = why_no_file(path)) throw UsageError(path + ": " + *why);
  std::vector<Document> documents;
  tables->read(path, pictures.columns, [&](nlohmann::ordered_json row) {
    documents.push_back({std::move(row), path, documents.size() + 1, Document::Place::row});
    if (pictures.take) pictures.take(documents.back());
  });
  if (documents.empty()) throw InputError(path + ": holds no rows");
  return documents;
}

std::vector<Document> read_rows(const std::string& path) {
  TextFile stream(path);
  const std::string name = unpacked_name(path);
  if (name.ends_with(".csv")) return read_separated(stream, ',', path);
  if (name.ends_with(".tsv")) return read_separated(stream, '\t', path);
  return name.ends_with(".json") ? read_json_rows(stream, path) : read_json_lines(stream, path);
}

std::vector<Document> read_file(const std::string& path, TableReader* tables, const Pictures& pictures) {
  if (path.ends_with(".parquet") || path.ends_with(".arrow")) return read_table(path, tables, pictures);
  std::vector<Document> documents = read_rows(path);
  if (pictures.take)
    for (Document& one : documents) pictures.take(one);
  return documents;
}

}  // namespace

bool is_named_as_rows(const std::string& path) {
  const std::string name = unpacked_name(path);
  return std::ranges::any_of(kEndings, [&](const char* ending) { return name.ends_with(ending); });
}

std::vector<Document> read_documents(std::span<const std::string> files, TableReader* tables,
                                     const Pictures& pictures) {
  PROCTOR_CHECK(!files.empty(), "a split has a file");
  std::vector<Document> all = read_file(files[0], tables, pictures);
  for (const std::string& file : files.subspan(1))
    for (Document& one : read_file(file, tables, pictures)) all.push_back(std::move(one));
  return all;
}

}  // namespace proctor
