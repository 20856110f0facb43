// XXH3-128 of bytes that come in pieces, as the orchestrator's xxh3_hex has it of all at once.
#pragma once

#include <xxhash.h>

#include <memory>
#include <string>
#include <string_view>

namespace proctor {

class ContentHash {
 public:
  ContentHash() : state_(XXH3_createState(), XXH3_freeState) { XXH3_128bits_reset(state_.get()); }
  void add(std::string_view bytes) { XXH3_128bits_update(state_.get(), bytes.data(), bytes.size()); }
  std::string hex() const;  ///< 32 hexadecimal digits

 private:
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_;
};

}  // namespace proctor
