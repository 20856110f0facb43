// check_model: a folder's weight files against its configuration; the model's hash and facts.
#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "sharding/protocol/error.h"
#include "worker/base/json_file.h"
#include "worker/checkpoint/families.h"
#include "worker/checkpoint/known_keys.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/checkpoint/safetensors.h"

namespace proctor {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;
constexpr std::uint64_t kPiece = 8 << 20;  // bytes read at once

void check_shape(const WeightSource& source, const TensorEntry& entry, const std::string& file) {
  const auto text = [](const std::vector<std::int64_t>& shape) { return Json(shape).dump(); };
  if (entry.shape != source.shape)
    throw InputError(file + ": tensor " + source.tensor + " has shape " + text(entry.shape) +
                     ", config.json asks for " + text(source.shape));
  if (entry.dtype != "F32" && entry.dtype != "BF16" && entry.dtype != "F16")
    throw InputError(file + ": tensor " + source.tensor + " has dtype " + entry.dtype +
                     " (F32, BF16 and F16 are read); is this a quantised checkpoint?");
}

/// `name`: within the model's folder.
void add_file(XXH3_state_t* state, const fs::path& folder, const std::string& name) {
  std::ifstream stream(folder / name, std::ios::binary);
  std::ostringstream text;
  text << name << '\0' << stream.rdbuf();
  XXH3_128bits_update(state, text.str().data(), text.str().size());
}

/// Of the folders that modules.json may name (1_Pooling/config.json), by name.
std::vector<std::string> configurations_below(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (entry.is_directory(none) && fs::exists(entry.path() / "config.json"))
      found.push_back(entry.path().filename().string() + "/config.json");
  std::ranges::sort(found);
  return found;
}

/// Of everything that decides a number: the whole of every file and tensor.
std::string hash_of(const ModelFolder& folder, const Checkpoint& checkpoint) {
  XXH3_state_t* state = XXH3_createState();
  XXH3_128bits_reset(state);
  for (const char* name :
       {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "artifact.metadata", "modules.json", "sentence_bert_config.json",
        "sentence_roberta_config.json", "sentence_xlm-roberta_config.json", "config_sentence_transformers.json"})
    add_file(state, folder.path, name);
  for (const std::string& config : configurations_below(folder.path)) add_file(state, folder.path, config);
  std::string buffer;
  for (const auto& [name, found] : checkpoint.tensors()) {
    const std::string header = name + Json(found.entry->shape).dump() + found.entry->dtype;
    XXH3_128bits_update(state, header.data(), header.size());
    for (std::uint64_t at = found.entry->begin; at < found.entry->end; at += buffer.size()) {
      buffer.resize(std::min(kPiece, found.entry->end - at));
      found.file->read(at, buffer.size(), buffer.data());
      XXH3_128bits_update(state, buffer.data(), buffer.size());
    }
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(state);
  XXH3_freeState(state);
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

bool same_bytes(const Checkpoint::Found& a, const Checkpoint::Found& b) {
  const std::uint64_t size = a.entry->end - a.entry->begin;
  if (a.entry->dtype != b.entry->dtype || size != b.entry->end - b.entry->begin) return false;
  std::string one, other;
  for (std::uint64_t at = 0; at < size; at += one.size()) {
    one.resize(std::min(kPiece, size - at));
    other.resize(one.size());
    a.file->read(a.entry->begin + at, one.size(), one.data());
    b.file->read(b.entry->begin + at, other.size(), other.data());
    if (one != other) return false;
  }
  return true;
}

/// Buffers that transformers makes anew, an encoder's heads that its kinds have no use for, other names of shared
/// weights.
bool is_expendable(const std::string& tensor) {
  for (const char* end : {"rotary_emb.inv_freq", "position_ids", "embed_tokens.weight", "lm_head.decoder.bias"})
    if (tensor.ends_with(end)) return true;
  for (const char* part : {"pooler.", "cls.", "lm_head."})
    if (tensor.find(part) != std::string::npos) return true;
  return false;
}

/// Of files whose other keys transformers passes by, too.
void note_unknown_keys(const fs::path& folder, std::vector<std::string>& notes) {
  for (const char* file : {"tokenizer_config.json", "special_tokens_map.json", "generation_config.json"}) {
    const fs::path path = folder / file;
    if (!fs::exists(path)) continue;
    std::string names;
    for (const std::string& key : unknown_keys(read_json_file(path.string()), file))
      names += (names.empty() ? "" : ", ") + key;
    if (!names.empty()) notes.push_back(path.string() + ": not known and not read: " + names);
  }
}

/// What the checkpoint holds and nothing reads, and a head that is not the embedding although the model ties the two.
std::vector<std::string> notes_on(const ModelFolder& folder, const Checkpoint& checkpoint,
                                  const std::vector<WeightSource>& sources) {
  std::set<const TensorEntry*> read;
  for (const WeightSource& source : sources) read.insert(checkpoint.find(source.tensor).entry);
  std::vector<std::string> notes, unread;
  for (const auto& [name, found] : checkpoint.tensors())
    if (!read.contains(found.entry) && !is_expendable(name)) unread.push_back(name);
  if (!unread.empty()) {
    std::string names;
    for (std::size_t i = 0; i < std::min<std::size_t>(3, unread.size()); ++i) names += (i ? ", " : "") + unread[i];
    notes.push_back(folder.path + ": nothing reads " + std::to_string(unread.size()) + " of its tensors (" + names +
                    (unread.size() > 3 ? ", ...)" : ")"));
  }
  note_unknown_keys(folder.path, notes);
  const char *const head = "lm_head.weight", *const embedding = "model.embed_tokens.weight";
  const bool is_decoder = !folder.encoder && !folder.t5;
  if (is_decoder && folder.decoder.has_head && folder.decoder.tied_embeddings && checkpoint.has(head) &&
      checkpoint.has(embedding) && !same_bytes(checkpoint.find(head), checkpoint.find(embedding)))
    notes.push_back(folder.path +
                    ": lm_head.weight is not the embedding, which tie_word_embeddings (config.json) makes "
                    "the head; it is not read, as in transformers 4.57 (transformers 5 reads it)");
  return notes;
}

template <class Config>
void add_common_sizes(ModelFacts& facts, const Config& c) {
  facts.layers = static_cast<std::uint64_t>(c.layers);
  facts.hidden = static_cast<std::uint64_t>(c.hidden);
  facts.heads = facts.kv_heads = static_cast<std::uint64_t>(c.heads);
  facts.head_dim = static_cast<std::uint64_t>(c.head_dim);
  facts.intermediate = static_cast<std::uint64_t>(c.intermediate);
  facts.vocabulary = static_cast<std::uint64_t>(c.vocabulary);
}

void add_sizes(ModelFacts& facts, const DecoderConfig& c) {
  add_common_sizes(facts, c);
  facts.kinds = c.has_head
                    ? std::vector<std::string>{"generator", "embedding", "llm_reranker", "rankgpt", "longllmlingua"}
                    : std::vector<std::string>{"embedding"};
  facts.kv_heads = static_cast<std::uint64_t>(c.kv_heads);
}

void add_sizes(ModelFacts& facts, const EncoderConfig& c) {
  add_common_sizes(facts, c);
  facts.shares_beginnings = false;
  facts.kinds = c.labels > 0       ? std::vector<std::string>{"cross_encoder"}
                : c.projection > 0 ? std::vector<std::string>{"colbert"}
                                   : std::vector<std::string>{"embedding", "colbert"};
}

void add_sizes(ModelFacts& facts, const T5Config& c) {
  add_common_sizes(facts, c);
  facts.shares_beginnings = false;
  facts.kinds = c.labels > 0 ? std::vector<std::string>{"tart"} : std::vector<std::string>{"monot5", "upr"};
  facts.layers += static_cast<std::uint64_t>(c.decoder_layers);
}

}  // namespace

ModelFacts check_model(const ModelFolder& folder) {
  const Checkpoint checkpoint(folder.path);
  ModelFacts facts;
  if (folder.encoder)
    add_sizes(facts, *folder.encoder);
  else if (folder.t5)
    add_sizes(facts, *folder.t5);
  else
    add_sizes(facts, folder.decoder);
  const std::vector<WeightSource> sources = folder_sources(folder);
  for (const WeightSource& source : sources) {
    const auto found = checkpoint.find(source.tensor);
    check_shape(source, *found.entry, found.file->path());
    std::uint64_t elements = 1;
    for (std::int64_t size : source.shape) elements *= static_cast<std::uint64_t>(size);
    facts.parameters += elements;
    facts.weight_bytes += found.entry->end - found.entry->begin;
  }
  facts.architecture = folder.architecture;
  facts.checkpoint_dtype = folder.checkpoint_dtype;
  facts.max_length = folder.max_length;
  facts.bytes_per_token = facts.vocabulary > 1000 ? 4.0 : 2.0;
  facts.model_hash = hash_of(folder, checkpoint);
  facts.bos_text = folder.tokenizer.bos_token;
  facts.eos_text = folder.tokenizer.eos_token;
  facts.notes = notes_on(folder, checkpoint, sources);
  return facts;
}

}  // namespace proctor
