// PNG by libpng. Its error callback must not return; it jumps out of libpng's C frames, over no C++ object.
#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "sharding/protocol/error.h"
#include "worker/images/decoders.h"
#include "worker/images/jump_guard.h"

namespace proctor {
namespace {

struct PngState {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::string_view rest;  // not read yet
  std::jmp_buf jump;
  char message[256] = "";
};

[[noreturn]] void give_up(png_structp png, png_const_charp message) {
  auto& state = *static_cast<PngState*>(png_get_error_ptr(png));
  std::snprintf(state.message, sizeof state.message, "%s", message);
  std::longjmp(state.jump, 1);
}

void pass_over(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep to, std::size_t count) {
  auto& state = *static_cast<PngState*>(png_get_io_ptr(png));
  if (count > state.rest.size()) png_error(png, "the file ends early");
  std::memcpy(to, state.rest.data(), count);
  state.rest.remove_prefix(count);
}

class PngReader {
 public:
  explicit PngReader(std::string_view bytes) {
    state_.rest = bytes;
    state_.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state_, give_up, pass_over);
    if (!state_.png) throw EnvironmentError("libpng has no memory, or is another version than its header");
    run([&] {
      state_.info = png_create_info_struct(state_.png);
      png_set_read_fn(state_.png, &state_, read_bytes);
      png_set_crc_action(state_.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
      // None but IHDR, PLTE, tRNS, IDAT and IEND: texts and profiles would be unpacked for nothing.
      png_set_keep_unknown_chunks(state_.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    });
  }
  ~PngReader() { png_destroy_read_struct(&state_.png, &state_.info, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  png_structp png() { return state_.png; }
  png_infop info() { return state_.info; }

  /// step: calls of libpng alone, since it may be left at any of them.
  template <class Step>
  void run(const Step& step) {
    if (!returns(state_.jump, step))
      throw InputError(std::string("a broken or truncated PNG (") + state_.message + ")");
  }

 private:
  PngState state_;
};

/// To 8-bit RGB: of 16 bits the high byte, alpha dropped.
void ask_for_rgb(png_structp png) {
  png_set_palette_to_rgb(png);
  png_set_expand_gray_1_2_4_to_8(png);
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
  png_set_interlace_handling(png);
}

}  // namespace

Picture decode_png(std::string_view bytes, const ImageHeader& header) {
  PngReader reader(bytes);
  reader.run([&] { png_read_info(reader.png(), reader.info()); });
  if (png_get_color_type(reader.png(), reader.info()) == PNG_COLOR_TYPE_GRAY &&
      png_get_bit_depth(reader.png(), reader.info()) == 16)
    throw InputError("a PNG of 16-bit gray, which Pillow would clip to white; convert it to 8 bits");
  reader.run([&] {
    ask_for_rgb(reader.png());
    png_read_update_info(reader.png(), reader.info());
  });
  PROCTOR_CHECK(png_get_rowbytes(reader.png(), reader.info()) == static_cast<std::size_t>(header.width * 3),
                "libpng gives three bytes a pixel");
  Picture picture(header.height, header.width);
  std::vector<png_bytep> rows;
  for (std::int64_t y = 0; y < header.height; ++y) rows.push_back(picture.row(y));
  reader.run([&] { png_read_image(reader.png(), rows.data()); });
  reader.run([&] { png_read_end(reader.png(), nullptr); });
  return picture;
}

}  // namespace proctor
