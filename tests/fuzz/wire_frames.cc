// Any bytes as a stream of frames, each decoded as every kind of message: a message, or an Error.
#include <cstdint>

#include "sharding/protocol/error.h"
#include "sharding/protocol/message.h"
#include "sharding/protocol/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  proctor::FrameReader reader;
  try {
    reader.feed({reinterpret_cast<const char*>(data), size});
    while (auto payload = reader.next()) {
      for (const auto& decode : {+[](std::string_view b) { proctor::decode_worker_order(b); },
                                 +[](std::string_view b) { proctor::decode_worker_report(b); },
                                 +[](std::string_view b) { proctor::decode_agent_order(b); },
                                 +[](std::string_view b) { proctor::decode_agent_report(b); }})
        try {
          decode(*payload);
        } catch (const proctor::Error&) {
        }
    }
  } catch (const proctor::Error&) {
  }
  return 0;
}
