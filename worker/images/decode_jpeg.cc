// JPEG by libjpeg-turbo with its defaults, which are Pillow's. libjpeg reports by callbacks that must not return; they
// jump out of its C frames, over no C++ object.
#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "sharding/protocol/error.h"
#include "worker/images/decoders.h"
#include "worker/images/jpeg_library.h"
#include "worker/images/jump_guard.h"

namespace proctor {
namespace {

/// A progressive file of a few kilobytes can ask for thousands of passes over the picture.
constexpr int kMaxScans = 500;

struct JpegState {
  jpeg_decompress_struct info;
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

JpegState& state_of(j_common_ptr info) { return *static_cast<JpegState*>(info->client_data); }

[[noreturn]] void give_up(j_common_ptr info) {
  JpegState& state = state_of(info);
  info->err->format_message(info, state.message);
  std::longjmp(state.jump, 1);
}

/// Of libjpeg's warnings these leave every pixel as the file says; the others stand for pixels that it made up.
bool is_harmless(int code) {
  return code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM;
}

void refuse_warnings(j_common_ptr info, int level) {
  if (level < 0 && !is_harmless(info->err->msg_code)) give_up(info);
}

void bound_scans(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  std::snprintf(state_of(info).message, JMSG_LENGTH_MAX, "more than %d scans", kMaxScans);
  std::longjmp(state_of(info).jump, 1);
}

class JpegReader {
 public:
  explicit JpegReader(std::string_view bytes) {
    state_.info.err = jpeg_std_error(&state_.errors);
    state_.errors.error_exit = give_up;
    state_.errors.emit_message = refuse_warnings;
    state_.errors.output_message = [](j_common_ptr) {};
    state_.info.client_data = &state_;
    run([&] {
      jpeg_create_decompress(&state_.info);
      state_.progress.progress_monitor = bound_scans;
      state_.info.progress = &state_.progress;
      jpeg_mem_src(&state_.info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    });
  }
  ~JpegReader() { jpeg_destroy_decompress(&state_.info); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  jpeg_decompress_struct& info() { return state_.info; }

  /// step: calls of libjpeg alone, since it may be left at any of them.
  template <class Step>
  void run(const Step& step) {
    if (!returns(state_.jump, step))
      throw InputError(std::string("a broken or truncated JPEG (") + state_.message + ")");
  }

 private:
  JpegState state_{};
};

std::uint8_t product(int a, int b) {
  const int t = a * b + 128;
  return static_cast<std::uint8_t>(((t >> 8) + t) >> 8);
}

/// Pillow's: a CMYK JPEG is taken for Adobe's, which stores 255 - ink.
void convert_inverted_cmyk(const std::uint8_t* from, std::int64_t width, std::uint8_t* to) {
  for (std::int64_t x = 0; x < width; ++x, from += 4)
    for (int channel = 0; channel < 3; ++channel) {
      const int light = from[3];
      *to++ = static_cast<std::uint8_t>(std::max(light - product(255 - from[channel], light), 0));
    }
}

void convert_row(const std::uint8_t* from, int components, std::int64_t width, std::uint8_t* to) {
  if (components == 4) return convert_inverted_cmyk(from, width, to);
  for (std::int64_t x = 0; x < width; ++x, to += 3) std::memset(to, from[x], 3);
}

void choose_colors(jpeg_decompress_struct& info) {
  const int components = info.num_components;
  if (components != 1 && components != 3 && components != 4)
    throw InputError("a JPEG of " + std::to_string(components) + " components; 1, 3 and 4 are read");
  info.out_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
}

}  // namespace

Picture decode_jpeg(std::string_view bytes, const ImageHeader& header) {
  JpegReader reader(bytes);
  jpeg_decompress_struct& info = reader.info();
  reader.run([&] { jpeg_read_header(&info, TRUE); });
  if (info.image_height != header.height || info.image_width != header.width)
    throw InputError("a broken JPEG (two frame headers differ)");
  choose_colors(info);
  reader.run([&] { jpeg_start_decompress(&info); });
  Picture picture(header.height, header.width);
  std::vector<std::uint8_t> row(static_cast<std::size_t>(header.width * info.output_components));
  for (std::int64_t y = 0; y < header.height; ++y) {
    JSAMPROW to = info.output_components == 3 ? picture.row(y) : row.data();
    reader.run([&] { jpeg_read_scanlines(&info, &to, 1); });
    if (info.output_components != 3) convert_row(row.data(), info.output_components, header.width, picture.row(y));
  }
  reader.run([&] { jpeg_finish_decompress(&info); });
  return picture;
}

}  // namespace proctor
