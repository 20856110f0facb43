#include "worker/checkpoint/folder_hash.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"
#include "worker/base/content_hash.h"
#include "worker/checkpoint/safetensors.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kPiece = 8 << 20, kBeginning = 4 << 10;  // bytes read at once; of a tensor's beginning

/// `name`: within the model's folder.
void add_file(ContentHash& hash, const fs::path& folder, const std::string& name) {
  const std::string path = (folder / name).string();
  if (const auto why = why_no_file(path)) throw InputError(path + ": " + *why);
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << name << '\0' << stream.rdbuf();
  hash.add(text.str());
}

/// Of the folders that modules.json may name (1_Pooling/config.json, 2_Dense/model.safetensors), by name.
std::vector<std::string> files_below(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    if (!entry.is_directory(none) || !is_there(entry.path() / "config.json")) continue;
    for (const char* name : {"config.json", "model.safetensors"})
      if (is_there(entry.path() / name)) found.push_back(entry.path().filename().string() + "/" + name);
  }
  std::ranges::sort(found);
  return found;
}

std::string text_of(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) text += (text.size() > 1 ? "," : "") + std::to_string(size);
  return text + "]";
}

}  // namespace

std::string folder_hash(const std::string& folder, const Checkpoint& checkpoint, HashOf what) {
  ContentHash hash;
  for (const char* name :
       {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "artifact.metadata", "modules.json", "sentence_bert_config.json",
        "sentence_roberta_config.json", "sentence_xlm-roberta_config.json", "config_sentence_transformers.json"})
    add_file(hash, folder, name);
  for (const std::string& config : files_below(folder)) add_file(hash, folder, config);
  std::string buffer;
  for (const auto& [name, found] : checkpoint.tensors()) {
    hash.add(name + text_of(found.entry->shape) + found.entry->dtype);
    const std::uint64_t begin = found.entry->begin, whole = found.entry->end;
    const std::uint64_t end = what == HashOf::everything ? whole : std::min(whole, begin + kBeginning);
    for (std::uint64_t at = begin; at < end; at += buffer.size()) {
      buffer.resize(std::min(kPiece, end - at));
      found.file->read(at, buffer.size(), buffer.data());
      hash.add(buffer);
    }
  }
  return hash.hex();
}

}  // namespace proctor
