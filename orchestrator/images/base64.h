// Bytes that a row holds as a text (RFC 4648), as VLMEvalKit's tables and data: URLs have them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace proctor {

/// Nothing where the text is no base64. White space is skipped; what fills up the end may be missing.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace proctor
