// A Hugging Face model folder, read for what it decides: config.json, generation_config.json, tokenizer_config.json,
// the headers of the weight files. No weights are read and no device is touched. Includes no torch.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sharding/protocol/facts.h"
#include "sharding/protocol/tokens.h"
#include "worker/checkpoint/config_reader.h"
#include "worker/checkpoint/generation_defaults.h"
#include "worker/checkpoint/tensor_parallel.h"
#include "worker/checkpoint/vision_config.h"
#include "worker/tokenizer/added_tokens.h"

namespace proctor {

/// tokenizer_config.json, and what stands beside it.
struct TokenizerSettings {
  std::string tokenizer_class, bos_token, eos_token, pad_token;
  std::optional<bool> add_bos_token, add_eos_token, add_prefix_space;
  std::optional<bool> do_lower_case, strip_accents, tokenize_chinese_chars;  ///< BERT's
  bool clean_up_spaces = false;
  bool truncates_left = false;
  bool gives_types = true;  ///< token type ids are among model_input_names
  std::optional<std::int64_t> model_max_length;
  /// To be added in this order where tokenizer.json has them not, or otherwise: added_tokens_decoder's or
  /// added_tokens.json's; then the special tokens, of which one that was added before is left as it is.
  std::vector<AddedToken> added_tokens, special_tokens;
};

/// Of a folder with a tokenizer; config.json, if it is there, says whose it is. Throws InputError.
TokenizerSettings read_tokenizer_settings(const std::string& folder);

struct ModelFolder {
  std::string path, architecture, checkpoint_dtype;
  DecoderConfig decoder;               ///< where there is neither of the others
  std::optional<VisionConfig> vision;  ///< beside the decoder, where the folder says how images are prepared
  std::optional<EncoderConfig> encoder;
  std::optional<Seq2SeqConfig> seq2seq;
  GenerationDefaults generation;
  TokenizerSettings tokenizer;
  std::vector<ReadKey> keys;       ///< of config.json, or of its text_config
  std::int64_t max_length = 2048;  ///< as lm-eval: max_position_embeddings, or its class's default

  std::int64_t vocabulary() const {
    return encoder ? encoder->vocabulary : seq2seq ? seq2seq->vocabulary : decoder.vocabulary;
  }
};

/// Throws InputError naming the file and what is wrong with it.
ModelFolder read_model_folder(const std::string& path);

/// What a member of a gang reads of the checkpoint, and into which parameters; by default the whole model.
std::vector<WeightSource> folder_sources(const ModelFolder& folder, Share share = {});
std::vector<ParameterShape> folder_parameters(const ModelFolder& folder, Share share = {});

/// Also opens the weight files' headers and checks every tensor's name and shape against the configuration.
ModelFacts check_model(const ModelFolder& folder);

}  // namespace proctor
