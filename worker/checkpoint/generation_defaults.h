// What a folder says of how its model generates: generation_config.json, or config.json where transformers reads it
// there. Includes no torch.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "sharding/protocol/tokens.h"

namespace proctor {

struct ModelFolder;

/// What counts even for greedy decoding.
struct GenerationDefaults {
  Tokens eos_ids;
  double repetition_penalty = 1.0;
  std::optional<std::int64_t> max_new_tokens;  ///< wins over what a task asks for, as in transformers

  // Of encoders with decoders alone; a decoder whose file has them is refused. Lengths count the decoder's first token.
  std::optional<TokenId> start_token, forced_bos, forced_eos;  ///< forced_eos: in the last place that there is
  std::int64_t min_length = 0;                                 ///< before which nothing ends
  std::int64_t no_repeat_ngram = 0;                            ///< of so many tokens none comes twice; 0: all may
  std::int64_t beams = 1;
  double length_penalty = 1;
  /// When a search with beams ends: as soon as as many texts have ended; when none that goes on can be better, by its
  /// length or by the longest that there may be.
  enum class Ends { at_first, by_length, by_longest } ends = Ends::by_length;
};

/// Those keys of an encoder's with a decoder, which older config.json files have too.
constexpr const char* kGenerationKeys[] = {
    "num_beams",           "min_length",          "max_length",
    "early_stopping",      "length_penalty",      "no_repeat_ngram_size",
    "forced_bos_token_id", "forced_eos_token_id", "force_bos_token_to_be_generated"};

/// `config`: config.json. Throws InputError for what changes generated text and is not implemented.
GenerationDefaults read_generation(const ModelFolder& model, const nlohmann::json& config);

/// Throws InputError naming file and key.
TokenId read_token_id(const nlohmann::json& json, const std::string& file, const char* key);

}  // namespace proctor
