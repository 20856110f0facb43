// Any bytes as a safetensors file: a map of tensors inside the file, or an InputError.
#include <cstdint>
#include <cstdlib>

#include "sharding/protocol/error.h"
#include "worker/checkpoint/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    for (const auto& [name, entry] :
         proctor::parse_safetensors_header({reinterpret_cast<const char*>(data), size}, size, "fuzz"))
      if (entry.begin > entry.end || entry.end > size) std::abort();
  } catch (const proctor::InputError&) {
  }
  return 0;
}
