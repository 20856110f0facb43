// What one member of a tensor-parallel gang holds of a network: its heads, its rows and columns of each weight, its
// part of a decoder's vocabulary. From the same source list as everything else. Includes no torch. Which sizes are
// possible at all: sharding/planning/tensor_parallel.h.
#pragma once

#include <vector>

#include "worker/checkpoint/decoder_config.h"
#include "worker/checkpoint/encoder_config.h"
#include "worker/checkpoint/seq2seq_config.h"
#include "worker/checkpoint/weight_source.h"

namespace proctor {

struct Share {
  std::uint32_t rank = 0, size = 1;
};

/// Token ids [begin, begin + rows) of the vocabulary; every member's embedding has `padded` rows.
struct VocabularyShare {
  std::int64_t begin = 0, rows = 0, padded = 0;
};
VocabularyShare vocabulary_share(std::int64_t vocabulary, Share share);

/// The decoder that the member computes: heads, KV heads (at least one), feed-forward width and vocabulary of its own.
DecoderConfig member_config(DecoderConfig config, Share share);
/// Heads and feed-forward width of its own; every member has the whole vocabulary.
EncoderConfig member_config(EncoderConfig config, Share share);
Seq2SeqConfig member_config(Seq2SeqConfig config, Share share);

/// decoder_weight_sources(config), each with the part of the file's tensor that the member reads and where it goes.
std::vector<WeightSource> member_sources(const DecoderConfig& config, Share share);
std::vector<WeightSource> member_sources(const EncoderConfig& config, Share share);
/// The same of a network whose vocabulary is whole: `whole` and `mine` are the sources of its configuration and of the
/// member's.
std::vector<WeightSource> member_sources(std::vector<WeightSource> whole, const std::vector<WeightSource>& mine,
                                         Share share);

}  // namespace proctor
