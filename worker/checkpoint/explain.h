// What was understood of a model folder, for people: `proctor-worker check FOLDER --explain`. Includes no torch.
#pragma once

#include <string>

#include "sharding/protocol/facts.h"
#include "worker/checkpoint/model_folder.h"

namespace proctor {

/// Lines of a name and what is behind it: facts, parameters, memory, kinds; then each key of config.json with its
/// value, and those that decide nothing.
std::string explanation(const ModelFolder& folder, const ModelFacts& facts);

/// What a decoder computes, in words: a line for each fact that its family, or this checkpoint, has.
std::vector<std::pair<std::string, std::string>> facts_in_words(const DecoderConfig& config);

}  // namespace proctor
