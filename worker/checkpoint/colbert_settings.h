// A ColBERT checkpoint's own file, artifact.metadata: markers, lengths and the width of a token's vector. Includes no
// torch.
#pragma once

#include <cstdint>
#include <string>

namespace proctor {

struct ColbertSettings {
  std::int64_t dim = 128, query_tokens = 32, passage_tokens = 220;  ///< colbert-ai's defaults
  std::string query_marker = "[unused0]", passage_marker = "[unused1]";
  bool skip_punctuation = true;  ///< a passage's punctuation is not matched
  bool attend_to_masks = false;  ///< a query's padding is attended, not only matched
};

/// What the file does not say is colbert-ai's default. Throws InputError for a file that cannot be read.
ColbertSettings read_colbert_settings(const std::string& folder);

}  // namespace proctor
