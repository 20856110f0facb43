// Any JSON as a tokenizer.json, then a text through it: ids and a text back, or an InputError.
#include <cstdint>

#include "sharding/protocol/error.h"
#include "worker/tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto json = nlohmann::json::parse(data, data + size, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) return 0;
  try {
    proctor::Tokenizer tokenizer(json, "fuzz");
    const auto ids =
        tokenizer.encode("Hello  world, it's 2024!\n\xC3\xA9\xF0\x9F\x98\x80<s>", proctor::Special::add).ids;
    tokenizer.decode(ids, proctor::Decoding::skip_special);
  } catch (const proctor::InputError&) {
  }
  return 0;
}
