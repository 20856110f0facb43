// `proctor-worker tokenize FOLDER`: JSON lines in, JSON lines out (INTERFACE: docs/results.md).
#pragma once

#include <iosfwd>
#include <string>

namespace proctor {

struct TokenizeOptions {
  bool no_special = false, types = false, decode = false, keep_special = false;
};

/// A string gives ids; an array of two strings a pair's; with decode an array of ids gives a string. Throws InputError
/// naming the line.
void tokenize_lines(const std::string& folder, const TokenizeOptions& options, std::istream& in, std::ostream& out);

}  // namespace proctor
