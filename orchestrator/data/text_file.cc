#include "orchestrator/data/text_file.h"

#include <zlib.h>
#include <zstd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <memory>
#include <streambuf>
#include <string_view>
#include <vector>

#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"

namespace proctor {
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 18;  // bytes read at once

/// Where a text's bytes come from.
class Source {
 public:
  virtual ~Source() = default;
  /// Fills the front of `block`; 0 at the end.
  virtual std::size_t read(std::vector<char>& block) = 0;
};

std::string cut_off(const std::string& path) { return path + ": ends in the middle; is a download not complete?"; }

/// Of a plain file too: zlib passes through what is not packed.
class ZlibSource final : public Source {
 public:
  explicit ZlibSource(const std::string& path) : path_(path), file_(gzopen(path.c_str(), "rb"), gzclose) {
    if (!file_) throw UsageError(path + ": cannot be opened");
    gzbuffer(file_.get(), kBlock);
  }
  std::size_t read(std::vector<char>& block) override {
    const int n = gzread(file_.get(), block.data(), static_cast<unsigned>(block.size()));
    int code = Z_OK;
    const char* why = gzerror(file_.get(), &code);
    if (code == Z_BUF_ERROR) throw InputError(cut_off(path_));
    if (n < 0 || (code != Z_OK && code != Z_STREAM_END)) throw InputError(path_ + ": " + why);
    return static_cast<std::size_t>(n);
  }

 private:
  std::string path_;
  std::unique_ptr<gzFile_s, int (*)(gzFile)> file_;
};

class ZstdSource final : public Source {
 public:
  explicit ZstdSource(const std::string& path)
      : path_(path), stream_(path, std::ios::binary), context_(ZSTD_createDStream(), ZSTD_freeDStream) {
    if (!stream_) throw UsageError(path + ": cannot be opened");
  }
  std::size_t read(std::vector<char>& block) override {
    ZSTD_outBuffer out{block.data(), block.size(), 0};
    while (out.pos == 0) {
      if (in_.pos == in_.size && !refill()) {
        if (left_ != 0) throw InputError(cut_off(path_));
        break;
      }
      left_ = ZSTD_decompressStream(context_.get(), &out, &in_);
      if (ZSTD_isError(left_)) throw InputError(path_ + ": " + ZSTD_getErrorName(left_));
    }
    return out.pos;
  }

 private:
  bool refill() {
    stream_.read(packed_.data(), static_cast<std::streamsize>(packed_.size()));
    in_ = {packed_.data(), static_cast<std::size_t>(stream_.gcount()), 0};
    return in_.size > 0;
  }
  std::string path_;
  std::ifstream stream_;
  std::unique_ptr<ZSTD_DStream, std::size_t (*)(ZSTD_DStream*)> context_;
  std::vector<char> packed_ = std::vector<char>(kBlock);
  ZSTD_inBuffer in_{nullptr, 0, 0};
  std::size_t left_ = 0;  // 0: a frame has ended
};

class SourceBuffer final : public std::streambuf {
 public:
  SourceBuffer(std::unique_ptr<Source> source, const std::string& path) : source_(std::move(source)), path_(path) {
    if (!fill()) return;
    const std::string_view begin(block_.data(), static_cast<std::size_t>(egptr() - gptr()));
    if (begin.starts_with("\xEF\xBB\xBF")) gbump(3);
    if (begin.starts_with("\xFF\xFE") || begin.starts_with("\xFE\xFF"))
      throw InputError(path + ": is UTF-16; write it as UTF-8 (iconv -f UTF-16 -t UTF-8)");
  }

 protected:
  int_type underflow() override { return fill() ? traits_type::to_int_type(*gptr()) : traits_type::eof(); }

 private:
  bool fill() {
    const std::size_t n = source_->read(block_);
    setg(block_.data(), block_.data(), block_.data() + n);
    return n > 0;
  }
  std::unique_ptr<Source> source_;
  std::string path_;
  std::vector<char> block_ = std::vector<char>(kBlock);
};

struct Packing {
  const char* suffix;
  std::string_view magic;
  const char* name;
};
constexpr std::array<Packing, 3> kPackings = {
    {{".gz", "\x1F\x8B", "gzip"}, {".zst", "\x28\xB5\x2F\xFD", "Zstandard"}, {".parquet", "PAR1", "Parquet"}}};

/// What its first bytes say, and its name does not.
void refuse_another_packing(const std::string& path) {
  std::array<char, 4> first{};
  std::ifstream stream(path, std::ios::binary);
  stream.read(first.data(), first.size());
  const std::string_view begin(first.data(), static_cast<std::size_t>(stream.gcount()));
  for (const Packing& one : kPackings) {
    const bool named = path.ends_with(one.suffix), is = begin.starts_with(one.magic);
    if (named && !is && !begin.empty())
      throw InputError(path + ": is named " + one.suffix + " and is not " + one.name + " data");
    if (is && !named) throw InputError(path + ": is " + one.name + " data; its name must end in " + one.suffix);
  }
}

std::unique_ptr<Source> source_of(const std::string& path) {
  if (const auto why = why_no_file(path)) throw UsageError(path + ": " + *why);
  if (!is_there(path)) throw UsageError(path + ": no such data file");
  refuse_another_packing(path);
  if (path.ends_with(".zst")) return std::make_unique<ZstdSource>(path);
  return std::make_unique<ZlibSource>(path);
}

}  // namespace

std::string unpacked_name(const std::string& path) {
  for (const char* suffix : {".gz", ".zst"})
    if (path.ends_with(suffix)) return path.substr(0, path.rfind('.'));
  return path;
}

TextFile::TextFile(const std::string& path)
    : std::istream(nullptr), buffer_(std::make_unique<SourceBuffer>(source_of(path), path)) {
  rdbuf(buffer_.get());
  exceptions(std::ios::badbit);  // what the buffer throws comes through
}

TextFile::~TextFile() = default;

}  // namespace proctor
