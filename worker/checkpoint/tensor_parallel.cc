#include "worker/checkpoint/tensor_parallel.h"

#include <algorithm>

#include "sharding/protocol/error.h"
#include "worker/checkpoint/families.h"

namespace proctor {
namespace {

/// Where a member's part of a decoder's own kinds of splits begins.
struct Begins {
  std::int64_t kv_row = 0;
  VocabularyShare vocabulary;
};

/// `mine` is the same source in the member's network: its shape is what is read, its row where it goes.
WeightSource cut(WeightSource source, const WeightSource& mine, Share share, const Begins& begins) {
  source.row = mine.row;
  switch (source.split) {
    case Split::column:
      source.rows = mine.shape[0];
      source.first_row = share.rank * source.rows;
      break;
    case Split::row:
      source.columns = mine.shape[1];
      source.first_column = share.rank * source.columns;
      break;
    case Split::kv:
      source.rows = mine.shape[0];
      source.first_row = begins.kv_row;
      break;
    case Split::vocabulary:
      source.first_row = begins.vocabulary.begin;
      source.rows = begins.vocabulary.rows;
      break;
    case Split::replicate:
      break;
  }
  return source;
}

std::vector<WeightSource> cut_all(std::vector<WeightSource> sources, const std::vector<WeightSource>& mine, Share share,
                                  const Begins& begins) {
  for (std::size_t i = 0; i < sources.size(); ++i) sources[i] = cut(std::move(sources[i]), mine[i], share, begins);
  return sources;
}

template <class Config>
Config divided(Config config, Share share) {
  PROCTOR_CHECK(config.heads % share.size == 0 && config.intermediate % share.size == 0,
                "sizes that cannot be divided are refused before a gang is formed");
  config.heads /= share.size;
  config.intermediate /= share.size;
  return config;
}

}  // namespace

VocabularyShare vocabulary_share(std::int64_t vocabulary, Share share) {
  const std::int64_t padded = (vocabulary + share.size - 1) / share.size;
  const std::int64_t begin = std::min(vocabulary, padded * share.rank);
  return {begin, std::min(padded, vocabulary - begin), padded};
}

DecoderConfig member_config(DecoderConfig config, Share share) {
  PROCTOR_CHECK(config.kv_heads % share.size == 0 || share.size % config.kv_heads == 0,
                "sizes that cannot be divided are refused before a gang is formed");
  config = divided(std::move(config), share);
  PROCTOR_CHECK(config.experts.width % share.size == 0 && config.experts.shared % share.size == 0,
                "sizes that cannot be divided are refused before a gang is formed");
  config.experts.width /= share.size;
  config.experts.shared /= share.size;
  if (!config.alibi_slopes.empty()) {
    const auto first = config.alibi_slopes.begin() + share.rank * config.heads;
    config.alibi_slopes = std::vector<float>(first, first + config.heads);
  }
  config.kv_heads = std::max<std::int64_t>(1, config.kv_heads / share.size);
  config.vocabulary = vocabulary_share(config.vocabulary, share).padded;
  return config;
}

EncoderConfig member_config(EncoderConfig config, Share share) {
  const std::int64_t keys = config.keys();
  PROCTOR_CHECK(keys % share.size == 0 || share.size % keys == 0,
                "sizes that cannot be divided are refused before a gang is formed");
  config = divided(std::move(config), share);
  config.kv_heads = std::max<std::int64_t>(1, keys / share.size);
  return config;
}
Seq2SeqConfig member_config(Seq2SeqConfig config, Share share) {
  config.encoder = divided(config.encoder, share);
  config.decoder = divided(config.decoder, share);
  return config;
}

std::vector<WeightSource> member_sources(const DecoderConfig& config, Share share) {
  const std::int64_t first_kv_head = config.kv_heads * share.rank / share.size;  // that its query heads need
  return cut_all(decoder_weight_sources(config), decoder_weight_sources(member_config(config, share)), share,
                 {first_kv_head * config.head_dim, vocabulary_share(config.vocabulary, share)});
}

std::vector<WeightSource> member_sources(const EncoderConfig& config, Share share) {
  const std::int64_t first_key_head = config.keys() * share.rank / share.size;
  return cut_all(encoder_weight_sources(config), encoder_weight_sources(member_config(config, share)), share,
                 {first_key_head * config.head_dim, {}});
}

std::vector<WeightSource> member_sources(std::vector<WeightSource> whole, const std::vector<WeightSource>& mine,
                                         Share share) {
  return cut_all(std::move(whole), mine, share, {});
}

}  // namespace proctor
