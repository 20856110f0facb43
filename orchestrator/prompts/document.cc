#include "orchestrator/prompts/document.h"

#include <fstream>

#include "sharding/error.h"

namespace proctor {

std::vector<Document> read_documents(const std::string& path) {
  std::ifstream stream(path);
  if (!stream) throw UsageError(path + ": no such data file");
  std::vector<Document> documents;
  std::string text;
  for (std::size_t line = 1; std::getline(stream, text); ++line) {
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    Document document{{}, path, line};
    try {
      document.row = nlohmann::ordered_json::parse(text);
    } catch (const nlohmann::json::exception& error) {
      throw InputError(document.where() + ": not a JSON value: " + error.what());
    }
    if (!document.row.is_object()) throw InputError(document.where() + ": a row must be a JSON object");
    documents.push_back(std::move(document));
  }
  if (documents.empty()) throw InputError(path + ": holds no rows; each line is one JSON object");
  return documents;
}

}  // namespace proctor
