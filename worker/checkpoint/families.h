// The only files with family names: which architectures there are, how their config.json reads, where their weights
// lie. A new decoder family is one reader and one row of a table in families_llama.cc, families_qwen.cc,
// families_gemma.cc, families_gpt.cc, families_experts.cc or families_sigmoid_experts.cc; encoders are in
// families_encoder.cc and families_rotary_encoder.cc, T5 in families_seq2seq.cc, towers in families_vision.cc.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "worker/base/activation.h"
#include "worker/checkpoint/config_reader.h"
#include "worker/checkpoint/decoder_config.h"
#include "worker/checkpoint/encoder_config.h"
#include "worker/checkpoint/seq2seq_config.h"
#include "worker/checkpoint/vision_config.h"
#include "worker/checkpoint/weight_source.h"

namespace proctor {

/// Every architecture that is read: "decoder", "base" (a decoder without head), "encoder" or "seq2seq", and its name; a
/// decoder that images are read for once more as "image-text".
std::vector<std::pair<std::string, std::string>> architectures();

/// Throws InputError for an architecture that is not in the table, a key that is not understood, sizes that do not fit.
/// `keys`: where the text model's are an object of their own, becomes theirs.
DecoderConfig read_decoder_config(const std::string& architecture, ConfigReader& reader,
                                  std::vector<ReadKey>* keys = nullptr);

std::vector<WeightSource> decoder_weight_sources(const DecoderConfig& config);
std::vector<ParameterShape> decoder_parameters(const DecoderConfig& config);

/// `json`: config.json; a decoder's architecture is an encoder's where its tokens attend in both directions.
bool is_encoder(const std::string& architecture, const nlohmann::json& json);
std::vector<std::string> encoder_names();
/// As read_decoder_config.
EncoderConfig read_encoder_config(const std::string& architecture, ConfigReader& reader);
std::vector<WeightSource> encoder_weight_sources(const EncoderConfig& config);

/// Does an image-text model of this architecture have a tower that is read?
bool has_tower(const std::string& architecture);
/// As read_decoder_config, of vision_config and the projector's keys beside it. text_hidden: the decoder's.
VisionConfig read_vision_config(const std::string& architecture, ConfigReader& reader, std::int64_t text_hidden);
std::vector<WeightSource> vision_weight_sources(const VisionConfig& config);

bool is_seq2seq(const std::string& architecture);
std::vector<std::string> seq2seq_names();
/// As read_decoder_config.
Seq2SeqConfig read_seq2seq_config(const std::string& architecture, ConfigReader& reader);
std::vector<WeightSource> seq2seq_weight_sources(const Seq2SeqConfig& config);

/// Outputs of a classification head: as in transformers as many as id2label has, 2 where nothing is said.
std::int64_t label_count(ConfigReader& reader);

/// By transformers' names (ACT2FN); nothing for one that is not implemented.
std::optional<Activation> activation_named(const std::string& name);

/// Of what these sources fill.
std::vector<ParameterShape> parameters_of(const std::vector<WeightSource>& sources);

}  // namespace proctor
