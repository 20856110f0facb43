// A row of a task's data. Its keys keep the file's order: they enter lm-eval's document hash.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sharding/protocol/request.h"

namespace proctor {

struct Document {
  enum class Place { line, row };
  nlohmann::ordered_json row;
  std::string file;
  std::size_t number = 0;  ///< from 1: of the line where it begins; in a file that has no lines, of the row
  Place place = Place::line;
  std::string failure = {};  ///< over an answer: why there is none, so that nothing can be asked; "": there is one
  std::optional<std::vector<Image>> images = {};  ///< that it asks with; absent where nobody has looked for any

  std::string where() const { return file + (place == Place::line ? ":" : ": row ") + std::to_string(number); }
};

/// Files that hold the rows of one split, one behind the other.
using DataFiles = std::vector<std::string>;

}  // namespace proctor
