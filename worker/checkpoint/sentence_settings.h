// A sentence-transformers folder's own files: how token states become a vector, or outputs a score. A plain
// transformers folder is pooled as sentence-transformers does: a ...ForCausalLM by its last token, others by the mean.
// Includes no torch.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "worker/checkpoint/model_folder.h"

namespace proctor {

/// weighted_mean: token i counts i + 1 times. mean_sqrt: the sum over the square root of how many there are.
enum class Pooling { mean, cls, last_token, max, weighted_mean, mean_sqrt };

/// A product behind the pooling, computed in float32: activation(weight x + bias).
struct DenseLayer {
  std::string folder;  ///< whose model.safetensors has linear.weight and, where there is one, linear.bias
  std::int64_t inputs = 0, outputs = 0;
  bool bias = true;
  std::optional<Activation> activation;  ///< none: identity
};

struct SentenceSettings {
  Pooling pooling = Pooling::mean;
  std::vector<DenseLayer> dense;  ///< one after another, before the normalisation
  bool normalize = false;         ///< to length 1
  bool lower_case = false;        ///< texts, before the tokenizer
  std::optional<std::int64_t> max_tokens;
  std::map<std::string, std::string> prompts;  ///< put before a text
  std::string default_prompt;                  ///< its name; "": none

  /// The first of these prompts that there is, else the default one, else "".
  const std::string& prompt(const std::vector<std::string>& names) const;
};

/// Throws InputError naming the file and a module, mode or setting that is not supported.
SentenceSettings read_sentence_settings(const ModelFolder& folder);

/// What a cross-encoder's outputs go through.
enum class PairActivation { identity, sigmoid, softmax, over_passages };

/// By the names that the option `activation` has; over_passages: the softmax over one query's passages (KoReranker).
std::optional<PairActivation> pair_activation_named(const std::string& name);

/// As sentence-transformers reads it: activation_fn of config_sentence_transformers.json or config.json, or the older
/// sbert_ce_default_activation_function; else the sigmoid of one output. Of two outputs the softmax, as FlashRank: the
/// second one is "relevant". Throws InputError naming another function, a default prompt, or more outputs.
PairActivation read_pair_activation(const std::string& folder, std::int64_t labels);

/// How many tokens of a pair a cross-encoder's sentence_bert_config.json (sentence-transformers 5.4 and later) keeps,
/// where there is one that says it. Throws InputError for a setting that is not supported.
std::optional<std::int64_t> read_pair_tokens(const std::string& folder);

}  // namespace proctor
