// A YAML file as a whole: one document, no key twice, merge keys merged.
#include <yaml-cpp/eventhandler.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "orchestrator/suite/yaml_fields.h"
#include "orchestrator/suite/yaml_nodes.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"

namespace proctor {
namespace {

/// Knows where the last document that was read begins. (YAML::LoadAll does not end on some texts: tried.)
struct DocumentStart final : YAML::EventHandler {
  YAML::Mark mark;
  void OnDocumentStart(const YAML::Mark& begin) override { mark = begin; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

void refuse_second_document(const std::string& text, const std::string& file) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentStart start;
  if (parser.HandleNextDocument(start) && parser.HandleNextDocument(start))
    throw UsageError(place_of(file, start.mark) + ": a second YAML document begins here; a file holds one");
}

/// An alias can stand for itself, or for more values than there is room for.
struct Bounds {
  int depth = 0;
  std::size_t values = 0;
};

void refuse_keys_used_twice(const YAML::Node& node, const std::string& file, Bounds& bounds) {
  if (++bounds.depth > 64 || ++bounds.values > 100000)
    throw UsageError(place_of(file, node.Mark()) + ": nested too deeply, or too many values (an alias of itself?)");
  std::set<std::string> keys;
  for (const auto& entry : node) {
    if (node.IsMap() && entry.first.IsScalar() && !keys.insert(entry.first.Scalar()).second)
      throw UsageError(place_of(file, entry.first.Mark()) + ": key '" + entry.first.Scalar() + "' is there twice");
    const YAML::Node& value = node.IsMap() ? entry.second : entry;
    if (value.IsMap() || value.IsSequence()) refuse_keys_used_twice(value, file, bounds);
  }
  --bounds.depth;
}

/// UTF-16 and UTF-32, which a YAML file may be too, say so by their first bytes.
void refuse_other_encodings(const std::string& bytes, const std::string& path) {
  if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF") || bytes.starts_with(std::string(2, '\0'))) return;
  if (const auto why = why_not_utf8(bytes)) throw UsageError(path + ": " + *why + "; save the file as UTF-8");
}

}  // namespace

YAML::Node load_yaml(const std::string& path) {
  if (const auto why = why_no_file(path)) throw UsageError(path + ": " + *why);
  std::error_code none;
  if (!std::filesystem::exists(path, none)) throw UsageError(path + ": no such file");
  std::ifstream stream(path, std::ios::binary);
  return read_yaml(stream, path);
}

YAML::Node read_yaml(std::istream& stream, const std::string& path) {
  std::ostringstream whole;
  whole << stream.rdbuf();
  const std::string text = whole.str();
  refuse_other_encodings(text, path);
  try {
    YAML::Node document = YAML::Load(text);
    refuse_second_document(text, path);
    Bounds bounds;
    refuse_keys_used_twice(document, path, bounds);
    merge_keys(document, path);
    return document;
  } catch (const YAML::Exception& error) {
    throw UsageError(place_of(path, error.mark) + ": not readable as YAML: " + error.msg);
  }
}

std::string place_of(const std::string& file, const YAML::Mark& mark) {
  if (mark.is_null()) return file;
  return file + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
}

}  // namespace proctor
