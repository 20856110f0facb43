// check_model: a folder's weight files against its configuration; the model's hash and facts.
#include <xxhash.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "sharding/protocol/error.h"
#include "worker/checkpoint/families.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/checkpoint/safetensors.h"

namespace proctor {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;
constexpr std::uint64_t kHashedBytes = 64 << 10;  // of each tensor, beside the headers

void check_shape(const WeightSource& source, const TensorEntry& entry, const std::string& file) {
  const auto text = [](const std::vector<std::int64_t>& shape) { return Json(shape).dump(); };
  if (entry.shape != source.shape)
    throw InputError(file + ": tensor " + source.tensor + " has shape " + text(entry.shape) +
                     ", config.json asks for " + text(source.shape));
  if (entry.dtype != "F32" && entry.dtype != "BF16" && entry.dtype != "F16")
    throw InputError(file + ": tensor " + source.tensor + " has dtype " + entry.dtype +
                     " (F32, BF16 and F16 are read); is this a quantised checkpoint?");
}

void add_file(XXH3_state_t* state, const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << path.filename().string() << '\0' << stream.rdbuf();
  XXH3_128bits_update(state, text.str().data(), text.str().size());
}

std::string hash_of(const ModelFolder& folder, const Checkpoint& checkpoint) {
  XXH3_state_t* state = XXH3_createState();
  XXH3_128bits_reset(state);
  for (const char* name :
       {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "artifact.metadata", "modules.json", "1_Pooling/config.json", "sentence_bert_config.json",
        "sentence_roberta_config.json", "sentence_xlm-roberta_config.json", "config_sentence_transformers.json"})
    add_file(state, fs::path(folder.path) / name);
  std::string buffer;
  for (const auto& [name, found] : checkpoint.tensors()) {
    buffer.resize(std::min(kHashedBytes, found.entry->end - found.entry->begin));
    found.file->read(found.entry->begin, buffer.size(), buffer.data());
    buffer += name + Json(found.entry->shape).dump() + found.entry->dtype;
    XXH3_128bits_update(state, buffer.data(), buffer.size());
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(state);
  XXH3_freeState(state);
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
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
  for (const WeightSource& source : folder_sources(folder)) {
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
  return facts;
}

}  // namespace proctor
