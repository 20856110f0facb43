// What is read to its end: an ordinary file. A pipe may never be written and a device never end, so that neither is
// opened.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace proctor {

/// Why a path cannot be read as a file: "is a folder", "is a pipe", "Too many levels of symbolic links"; nothing where
/// it can, or where there is nothing of that name.
std::optional<std::string> why_no_file(const std::string& path);

/// Something of that name is there, a link to nothing or one in a circle among it: whoever reads it says what is wrong.
bool is_there(const std::filesystem::path& path);

/// Where the first byte stands that is not UTF-8; nothing where there is none.
std::optional<std::size_t> first_not_utf8(std::string_view text);
/// As a text that says so: "line 3 is not UTF-8 (byte 0xE9 after 'caf')".
std::optional<std::string> why_not_utf8(std::string_view text);

}  // namespace proctor
