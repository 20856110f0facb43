// A module's options and limits, as its kind reads them. Each throws InputError naming the module. Includes no torch.
#pragma once

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>

#include "sharding/protocol/error.h"
#include "sharding/protocol/module.h"
#include "worker/checkpoint/model_folder.h"

namespace proctor {

[[noreturn]] inline void refuse(const Module& module, const std::string& why) {
  throw InputError("module " + module.name + ": " + why);
}

/// A mistake in the suite, where refuse() says what a folder lacks. Throws UsageError.
[[noreturn]] inline void refuse_option(const Module& module, const std::string& why) {
  throw UsageError("module " + module.name + ": option " + why);
}

template <class T>
T option(const Module& module, const char* name, const T& fallback) {
  if (!module.options.contains(name)) return fallback;
  const nlohmann::json& value = module.options.at(name);
  const bool whole = std::is_integral_v<T> && !std::is_same_v<T, bool>;
  try {
    if (!whole || value.is_number_integer()) return value.get<T>();
  } catch (const nlohmann::json::exception&) {
  }
  refuse_option(module, std::string(name) + " cannot be " + value.dump());
}

/// compat: where AutoRAG's code differs from the method it implements, do as it does. Default: reference.
inline bool as_autorag(const Module& module) {
  const std::string name = option<std::string>(module, "compat", "reference");
  if (name != "reference" && name != "autorag")
    refuse_option(module, "compat: expected reference or autorag, found '" + name + "'");
  return name == "autorag";
}

/// Of a decoder's rows, in tokens.
inline std::int64_t row_limit(const ModelFolder& folder, const Module& module) {
  return module.max_length.value_or(folder.max_length);
}

/// The same of rows with images, which lm-eval has none of: the network's own limit.
inline std::int64_t row_limit_with_images(const ModelFolder& folder, const Module& module) {
  return module.max_length.value_or(folder.decoder.max_position);
}

constexpr std::int64_t kLeastTokens = 3;  ///< of a text: one between two special tokens

/// How many tokens a text may have: what the module says, else `usual`; an encoder's table of positions is the end.
inline std::int64_t token_limit(const ModelFolder& folder, const Module& module, std::int64_t usual) {
  const std::int64_t most = folder.encoder ? folder.encoder->max_tokens() : std::numeric_limits<std::int64_t>::max();
  if (module.max_length && *module.max_length > most)
    refuse(module, "max_length " + std::to_string(*module.max_length) + " is past the " + std::to_string(most) +
                       " positions of " + folder.path);
  if (folder.tokenizer.truncates_left)
    refuse(module, folder.path +
                       ": truncation_side left (tokenizer_config.json) is not supported: texts that are too "
                       "long lose their ends here");
  const std::int64_t limit = std::min(module.max_length.value_or(usual), most);
  if (limit < kLeastTokens)
    refuse(module, "texts of " + folder.path + " would be cut to " + std::to_string(limit) + " tokens, below " +
                       std::to_string(kLeastTokens) +
                       " (the module's max_length, else max_seq_length or model_max_length of the folder)");
  return limit;
}

/// Every kind over T5 refuses it: feed-forward sums of T5's checkpoints pass its range.
inline void refuse_float16(const ModelFolder& folder, const Module& module) {
  if (module.dtype == DType::float16 || (module.dtype == DType::automatic && folder.checkpoint_dtype == "float16"))
    refuse(module, "T5 overflows in float16; choose dtype bfloat16 or float32");
}

/// Of kinds whose texts are encoded as the tokenizer's own file says.
inline void refuse_bos(const Module& module) {
  if (module.add_bos_token) refuse(module, "add_bos_token is not read by kind " + module.kind);
}

}  // namespace proctor
