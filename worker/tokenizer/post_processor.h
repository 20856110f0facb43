// tokenizer.json's "post_processor": where special tokens stand around one text or a pair.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sharding/protocol/tokens.h"

namespace proctor {

/// What a template is made of: the first text, the second, or special tokens.
struct TemplatePart {
  enum class What { first, second, special } what = What::first;
  Tokens ids;  ///< of a special token
  std::int32_t type_id = 0;
};

struct PostProcessor {
  std::vector<TemplatePart> single = {{TemplatePart::What::first, {}, 0}};
  std::vector<TemplatePart> pair = {{TemplatePart::What::first, {}, 0}, {TemplatePart::What::second, {}, 1}};
  std::string no_pair;  ///< why it cannot process a pair; "": it can
};

/// `json` may be null. Throws InputError naming a type that is not supported.
PostProcessor make_post_processor(const nlohmann::json& json);

}  // namespace proctor
