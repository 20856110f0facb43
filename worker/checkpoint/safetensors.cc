#include "worker/checkpoint/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"

namespace proctor {
namespace {

using Json = nlohmann::json;
constexpr std::uint64_t kMaxHeaderBytes = 100u << 20;  // the format's own bound
constexpr int kMaxDepth = 8;                           // of a header's JSON

/// 0: of no dtype that is known.
std::uint64_t known_dtype_bytes(const std::string& dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "BF16" || dtype == "F16" || dtype == "I16" || dtype == "U16") return 2;
  if (dtype == "I8" || dtype == "U8" || dtype == "BOOL" || dtype == "F8_E4M3" || dtype == "F8_E5M2") return 1;
  return 0;
}

TensorEntry read_entry(const std::string& name, const Json& json, std::uint64_t data_begin, std::uint64_t file_bytes,
                       const std::string& file) {
  const auto bad = [&](const std::string& what) { return InputError(file + ": tensor " + name + ": " + what); };
  TensorEntry entry;
  entry.dtype = json.at("dtype");
  std::uint64_t elements = 1;
  for (const auto& size : json.at("shape")) {
    if (!size.is_number_unsigned()) throw bad("a negative or fractional size in its shape");
    entry.shape.push_back(size.get<std::int64_t>());
    if (__builtin_mul_overflow(elements, size.get<std::uint64_t>(), &elements)) throw bad("its shape overflows");
  }
  const auto& offsets = json.at("data_offsets");
  if (offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned())
    throw bad("data_offsets are not two numbers");
  const std::uint64_t begin = offsets[0], end = offsets[1];
  if (begin > end || end > file_bytes - data_begin)
    throw bad("its bytes [" + std::to_string(begin) + ", " + std::to_string(end) + ") lie outside the file of " +
              std::to_string(file_bytes) + " bytes; is the file truncated?");
  std::uint64_t bytes = 0;
  if (!known_dtype_bytes(entry.dtype)) throw bad("dtype " + entry.dtype + " is not known");
  if (__builtin_mul_overflow(elements, dtype_bytes(entry.dtype), &bytes) || bytes != end - begin)
    throw bad("its shape and dtype need " + std::to_string(bytes) + " bytes, the file holds " +
              std::to_string(end - begin));
  entry.begin = data_begin + begin;
  entry.end = data_begin + end;
  return entry;
}

void refuse_overlaps(const std::map<std::string, TensorEntry>& tensors, const std::string& file) {
  std::vector<std::pair<const TensorEntry*, const std::string*>> order;
  for (const auto& [name, entry] : tensors)
    if (entry.begin < entry.end) order.emplace_back(&entry, &name);  // an empty one lies nowhere
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first->begin < b.first->begin; });
  for (std::size_t i = 1; i < order.size(); ++i)
    if (order[i].first->begin < order[i - 1].first->end)
      throw InputError(file + ": tensors " + *order[i - 1].second + " and " + *order[i].second + " overlap");
}

}  // namespace

std::uint64_t dtype_bytes(const std::string& dtype) {
  if (const std::uint64_t bytes = known_dtype_bytes(dtype)) return bytes;
  throw InputError("tensor dtype " + dtype + " is not known");
}

std::map<std::string, TensorEntry> parse_safetensors_header(std::string_view head, std::uint64_t file_bytes,
                                                            const std::string& file) {
  if (head.size() < 8)
    throw InputError(file + ": " + std::to_string(file_bytes) + " bytes are too few for a safetensors file");
  if (head.starts_with("version "))
    throw InputError(file + ": is a git-lfs pointer, not the weights; git lfs pull fetches them");
  std::uint64_t header_bytes = 0;
  for (int i = 7; i >= 0; --i)
    header_bytes = header_bytes << 8 | static_cast<unsigned char>(head[static_cast<std::size_t>(i)]);
  if (header_bytes > kMaxHeaderBytes)
    throw InputError(file + ": header of " + std::to_string(header_bytes) + " bytes (the bound is " +
                     std::to_string(kMaxHeaderBytes) + "); this is no safetensors file");
  if (header_bytes > file_bytes - 8 || head.size() - 8 < header_bytes)
    throw InputError(file + ": header of " + std::to_string(header_bytes) + " bytes in a file of " +
                     std::to_string(file_bytes) + "; is the file truncated?");
  const auto too_deep = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth) throw InputError(file + ": header: nested deeper than " + std::to_string(kMaxDepth));
    return true;
  };
  std::map<std::string, TensorEntry> tensors;
  try {
    const Json json = Json::parse(head.substr(8, header_bytes), too_deep);
    for (const auto& [name, entry] : json.items())
      if (name != "__metadata__") tensors.emplace(name, read_entry(name, entry, 8 + header_bytes, file_bytes, file));
  } catch (const Json::exception& error) {
    throw InputError(file + ": header: " + error.what());
  }
  refuse_overlaps(tensors, file);
  return tensors;
}

SafetensorsFile::SafetensorsFile(std::string path) : path_(std::move(path)) {
  if (const auto why = why_no_file(path_)) throw InputError(path_ + ": " + *why);
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (descriptor_ < 0 || ::fstat(descriptor_, &status) != 0) {
    const std::string why = std::strerror(errno);
    if (descriptor_ >= 0) ::close(descriptor_);
    throw InputError(path_ + ": " + why);
  }
  file_bytes_ = static_cast<std::uint64_t>(status.st_size);
  try {
    std::string head(std::min<std::uint64_t>(8, file_bytes_), '\0');
    read(0, head.size(), head.data());
    std::uint64_t header_bytes = 0;
    for (std::size_t i = head.size(); i-- > 0;) header_bytes = header_bytes << 8 | static_cast<unsigned char>(head[i]);
    if (header_bytes <= kMaxHeaderBytes && file_bytes_ >= 8 && header_bytes <= file_bytes_ - 8) {
      head.resize(8 + header_bytes);
      read(8, header_bytes, head.data() + 8);
    }
    tensors_ = parse_safetensors_header(head, file_bytes_, path_);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

SafetensorsFile::~SafetensorsFile() { ::close(descriptor_); }

void SafetensorsFile::read(std::uint64_t offset, std::uint64_t bytes, void* buffer) const {
  auto* out = static_cast<char*>(buffer);
  while (bytes > 0) {
    const ssize_t n = ::pread(descriptor_, out, std::min<std::uint64_t>(bytes, 1u << 30), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      throw InputError(path_ + ": " + (n < 0 ? std::strerror(errno) : "ends too early") + " at byte " +
                       std::to_string(offset));
    out += n;
    offset += static_cast<std::uint64_t>(n);
    bytes -= static_cast<std::uint64_t>(n);
  }
}

namespace {

/// weight_map: tensor -> file, of a folder without model.safetensors.
std::map<std::string, std::string> read_index(const std::filesystem::path& index) {
  try {
    if (const auto why = why_no_file(index.string())) throw InputError(index.string() + ": " + *why);
    std::ifstream stream(index);
    auto map = Json::parse(stream).at("weight_map").get<std::map<std::string, std::string>>();
    for (const auto& [tensor, file] : map)
      if (file.find('/') != std::string::npos)
        throw InputError(index.string() + ": names '" + file + "', which is not in its folder");
    return map;
  } catch (const Json::exception& error) {
    throw InputError(index.string() + ": " + error.what());
  }
}

}  // namespace

/// As transformers: model.safetensors, whatever an index beside it says; else what the index maps, and nothing else.
Checkpoint::Checkpoint(const std::string& folder) : folder_(folder) {
  namespace fs = std::filesystem;
  const fs::path whole = fs::path(folder) / "model.safetensors",
                 index = fs::path(folder) / "model.safetensors.index.json";
  if (is_there(whole)) {
    files_.push_back(std::make_unique<SafetensorsFile>(whole.string()));
    for (const auto& [tensor, entry] : files_.back()->tensors())
      where_.emplace(tensor, Found{files_.back().get(), &entry});
    return;
  }
  if (!is_there(index))
    throw InputError(whole.string() +
                     ": no such file (weights are read from safetensors only); convert the checkpoint, or complete the "
                     "download");
  std::map<std::string, const SafetensorsFile*> opened;
  for (const auto& [tensor, name] : read_index(index)) {
    const fs::path path = fs::path(folder) / name;
    if (!opened.contains(name)) {
      if (!is_there(path))
        throw InputError(path.string() + ": no such file, which " + index.filename().string() + " names for tensor " +
                         tensor + "; complete the download");
      files_.push_back(std::make_unique<SafetensorsFile>(path.string()));
      opened[name] = files_.back().get();
    }
    const SafetensorsFile* const file = opened.at(name);
    const auto entry = file->tensors().find(tensor);
    if (entry == file->tensors().end())
      throw InputError(path.string() + ": has no tensor " + tensor + ", which " + index.filename().string() +
                       " says is there");
    where_.emplace(tensor, Found{file, &entry->second});
  }
}

namespace {

/// A base model's own name, which stands before its tensors where a model with a head was saved.
constexpr std::string_view kBases[] = {"model.", "transformer.", "gpt_neox.", "bert.",   "roberta.", "deberta.",
                                       "mpnet.", "distilbert.",  "electra.",  "albert.", "new.",     "gte."};

/// Names under which other versions of transformers save the same tensor: a base model with or without its own name in
/// front, a text model beside a vision tower with the names' order changed, a norm's numbers as TensorFlow called them.
std::vector<std::string> other_names(const std::string& tensor) {
  constexpr std::string_view kWrapped = "language_model.", kInner = "language_model.model.";
  std::vector<std::string> names;
  if (tensor.starts_with(kInner)) {
    names.push_back("model.language_model." + tensor.substr(kInner.size()));
    names.push_back("language_model." + tensor.substr(kInner.size()));
    names.push_back("model.text_model." + tensor.substr(kInner.size()));
    names.push_back("model." + tensor.substr(kInner.size()));
  } else if (tensor.starts_with(kWrapped)) {
    names.push_back(tensor.substr(kWrapped.size()));
  }
  for (const std::string_view base : kBases)
    names.push_back(tensor.starts_with(base) ? tensor.substr(base.size()) : std::string(base) + tensor);
  names.push_back(tensor);
  for (std::size_t i = 0, count = names.size(); i < count; ++i)
    for (const auto& [now, then] : {std::pair(".weight", ".gamma"), {".bias", ".beta"}})
      if (names[i].ends_with(now))
        names.push_back(names[i].substr(0, names[i].size() - std::string_view(now).size()) + then);
  return names;
}

}  // namespace

Checkpoint::Found Checkpoint::find(const std::string& tensor) const {
  auto found = where_.find(tensor);
  for (const std::string& name : found == where_.end() ? other_names(tensor) : std::vector<std::string>())
    if (found == where_.end()) found = where_.find(name);
  if (found == where_.end())
    throw InputError(folder_ + ": tensor " + tensor +
                     " is missing from the checkpoint; does config.json belong to these weights?");
  return found->second;
}

}  // namespace proctor
