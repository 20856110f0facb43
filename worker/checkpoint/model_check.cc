// check_model: a folder's weight files against its configuration; the model's hash and facts.
#include <algorithm>
#include <filesystem>
#include <numeric>
#include <set>

#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"
#include "worker/base/json_file.h"
#include "worker/checkpoint/families.h"
#include "worker/checkpoint/folder_hash.h"
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
  if (entry.shape != source.tensor_shape())
    throw InputError(file + ": tensor " + source.tensor + " has shape " + text(entry.shape) +
                     ", config.json asks for " + text(source.tensor_shape()));
  if (entry.dtype != "F32" && entry.dtype != "BF16" && entry.dtype != "F16")
    throw InputError(file + ": tensor " + source.tensor + " has dtype " + entry.dtype +
                     " (F32, BF16 and F16 are read); is this a quantised checkpoint?");
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
  for (const char* end : {"rotary_emb.inv_freq", "position_ids", "embed_tokens.weight", "lm_head.decoder.bias",
                          ".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias"})
    if (tensor.ends_with(end)) return true;
  for (const char* part : {"pooler.", "cls.", "lm_head.", "vision_model.post_layernorm.", "vision_model.head."})
    if (tensor.find(part) != std::string::npos) return true;
  return false;
}

/// Of files whose other keys transformers passes by, too.
void note_unknown_keys(const fs::path& folder, std::vector<std::string>& notes) {
  for (const char* file : {"tokenizer_config.json", "special_tokens_map.json", "generation_config.json"}) {
    const fs::path path = folder / file;
    if (!is_there(path)) continue;
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
  const std::string head = folder.decoder.names.head + ".weight",
                    embedding = folder.decoder.names.embedding + ".weight";
  const bool is_decoder = !folder.encoder && !folder.seq2seq;
  if (is_decoder && folder.decoder.has_head && folder.decoder.tied_embeddings && checkpoint.has(head) &&
      checkpoint.has(embedding) && !same_bytes(checkpoint.find(head), checkpoint.find(embedding)))
    notes.push_back(folder.path + ": " + head +
                    " is not the embedding, which tie_word_embeddings (config.json) makes "
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
  const auto sizes = [](std::int64_t size) { return static_cast<std::uint64_t>(size); };
  facts.feed_forward = sizes((c.gated ? 3 : 2) * c.intermediate);
  if (c.experts.count == 0) return;
  // Rows gathered for each expert that they chose, and what each gave; at worst all of them go to the same ones.
  const Experts& e = c.experts;
  facts.feed_forward = std::max(facts.feed_forward, sizes(e.chosen * (2 * c.hidden + 3 * e.width) + 3 * e.shared));
  // What a gang divides: every width. Beside it, what a row goes through decides memory and time.
  std::int64_t divided = std::gcd(e.width, e.shared);
  if (std::ranges::count(e.in_layer, false) > 0) divided = std::gcd(divided, c.intermediate);
  facts.intermediate = static_cast<std::uint64_t>(divided);
}

void add_sizes(ModelFacts& facts, const EncoderConfig& c) {
  add_common_sizes(facts, c);
  facts.kv_heads = static_cast<std::uint64_t>(c.keys());
  facts.shares_beginnings = false;
  facts.kinds = c.labels > 0       ? std::vector<std::string>{"cross_encoder"}
                : c.projection > 0 ? std::vector<std::string>{"colbert"}
                                   : std::vector<std::string>{"embedding"};
  const bool near_alone = std::ranges::any_of(c.reach, [](std::int64_t reach) { return reach > 0; });
  if (c.labels == 0 && c.projection == 0 && !near_alone) facts.kinds.emplace_back("colbert");
}

void add_sizes(ModelFacts& facts, const Seq2SeqConfig& c) {
  const auto sizes = [](std::int64_t size) { return static_cast<std::uint64_t>(size); };
  const Seq2SeqStack &encoder = c.encoder, &decoder = c.has_decoder() ? c.decoder : c.encoder;
  facts.layers = sizes(encoder.layers + c.decoder.layers);
  facts.hidden = sizes(c.hidden);
  facts.heads = facts.kv_heads = sizes(std::gcd(encoder.heads, decoder.heads));  // what a gang divides
  facts.head_dim = sizes(std::max(encoder.width(), decoder.width())) / facts.heads;
  facts.intermediate = sizes(std::gcd(encoder.intermediate, decoder.intermediate));
  if (encoder.intermediate != decoder.intermediate)
    facts.feed_forward = sizes(3 * std::max(encoder.intermediate, decoder.intermediate));
  facts.vocabulary = sizes(c.vocabulary);
  facts.shares_beginnings = false;
  facts.kinds = {"generator"};
  if (!c.has_decoder())
    facts.kinds = {"tart"};
  else if (c.positions == 0)
    facts.kinds = {"generator", "monot5", "upr"};
}

/// Without the experts that a token does not choose.
std::uint64_t active_parameters(const DecoderConfig& c, std::uint64_t all) {
  const Experts& e = c.experts;
  const std::int64_t layers = std::ranges::count(e.in_layer, true), idle = e.count - e.chosen;
  return all - static_cast<std::uint64_t>(layers * idle * 3 * e.width * c.hidden);
}

}  // namespace

ModelFacts check_model(const ModelFolder& folder) {
  const Checkpoint checkpoint(folder.path);
  ModelFacts facts;
  if (folder.encoder)
    add_sizes(facts, *folder.encoder);
  else if (folder.seq2seq)
    add_sizes(facts, *folder.seq2seq);
  else
    add_sizes(facts, folder.decoder);
  const std::vector<WeightSource> sources = folder_sources(folder);
  for (const WeightSource& source : sources) {
    const auto found = checkpoint.find(source.tensor);
    check_shape(source, *found.entry, found.file->path());
    std::uint64_t elements = 1;
    for (std::int64_t size : source.shape) elements *= static_cast<std::uint64_t>(size);
    facts.parameters += elements;
    facts.weight_bytes += elements * dtype_bytes(found.entry->dtype);
  }
  if (!folder.encoder && !folder.seq2seq) facts.active_parameters = active_parameters(folder.decoder, facts.parameters);
  facts.architecture = folder.architecture;
  facts.checkpoint_dtype = folder.checkpoint_dtype;
  facts.max_length = folder.max_length;
  facts.bytes_per_token = facts.vocabulary > 1000 ? 4.0 : 2.0;
  facts.model_hash = folder_hash(folder.path, checkpoint, HashOf::everything);
  facts.folder_hash = folder_hash(folder.path, checkpoint, HashOf::beginnings);
  facts.bos_text = folder.tokenizer.bos_token;
  facts.eos_text = folder.tokenizer.eos_token;
  facts.notes = notes_on(folder, checkpoint, sources);
  return facts;
}

}  // namespace proctor
