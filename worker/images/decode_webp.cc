// WebP by libwebp; of an animation the first frame, on its canvas, by libwebpdemux.
#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

#include "sharding/protocol/error.h"
#include "worker/images/decoders.h"

namespace proctor {
namespace {

const std::uint8_t* data_of(std::string_view bytes) { return reinterpret_cast<const std::uint8_t*>(bytes.data()); }

[[noreturn]] void refuse() { throw InputError("a broken or truncated WebP"); }

Picture decode_first_frame(std::string_view bytes, const ImageHeader& header) {
  WebPAnimDecoderOptions options;
  if (!WebPAnimDecoderOptionsInit(&options)) throw EnvironmentError("libwebpdemux is another version than its header");
  const WebPData data{data_of(bytes), bytes.size()};
  const std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)> decoder(WebPAnimDecoderNew(&data, &options),
                                                                                   WebPAnimDecoderDelete);
  std::uint8_t* rgba = nullptr;
  int milliseconds = 0;
  if (!decoder || !WebPAnimDecoderGetNext(decoder.get(), &rgba, &milliseconds)) refuse();
  Picture picture(header.height, header.width);
  for (std::size_t i = 0; i < picture.rgb.size(); ++i) picture.rgb[i] = rgba[i / 3 * 4 + i % 3];
  return picture;
}

}  // namespace

Picture decode_webp(std::string_view bytes, const ImageHeader& header) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data_of(bytes), bytes.size(), &features) != VP8_STATUS_OK) refuse();
  if (features.height != header.height || features.width != header.width) refuse();
  if (features.has_animation) return decode_first_frame(bytes, header);
  Picture picture(header.height, header.width);
  if (!WebPDecodeRGBInto(data_of(bytes), bytes.size(), picture.rgb.data(), picture.rgb.size(),
                         static_cast<int>(header.width * 3)))
    refuse();
  return picture;
}

}  // namespace proctor
