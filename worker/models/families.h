// The only files with family names: which architectures there are, how their config.json reads, where their weights
// lie. A new decoder family is one reader and one row of the table in families.cc; encoders are in families_encoder.cc.
#pragma once

#include <string>
#include <vector>

#include "worker/models/config_reader.h"
#include "worker/models/decoder_config.h"
#include "worker/models/encoder_config.h"

namespace proctor {

/// Throws InputError for an architecture that is not in the table, a key that is not understood, sizes that do not fit.
DecoderConfig read_decoder_config(const std::string& architecture, ConfigReader& reader);

std::vector<WeightSource> decoder_weight_sources(const DecoderConfig& config);
std::vector<ParameterShape> decoder_parameters(const DecoderConfig& config);

bool is_encoder(const std::string& architecture);
std::string encoder_names();
/// As read_decoder_config.
EncoderConfig read_encoder_config(const std::string& architecture, ConfigReader& reader);
std::vector<WeightSource> encoder_weight_sources(const std::string& architecture, const EncoderConfig& config);

/// Of what these sources fill.
std::vector<ParameterShape> parameters_of(const std::vector<WeightSource>& sources);

}  // namespace proctor
