#include "worker/models/tensor_parallel.h"

#include <algorithm>

#include "sharding/error.h"
#include "worker/models/families.h"

namespace proctor {
namespace {

/// The first of `all` KV heads that the member's query heads need.
std::int64_t first_kv_head(std::int64_t all, Share share) { return all * share.rank / share.size; }

/// `mine` is the same source in the member's decoder: its shape is what is read, its row where it goes.
WeightSource cut(WeightSource source, const WeightSource& mine, const DecoderConfig& config, Share share) {
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
      source.first_row = first_kv_head(config.kv_heads, share) * config.head_dim;
      break;
    case Split::vocabulary: {
      const VocabularyShare part = vocabulary_share(config.vocabulary, share);
      source.first_row = part.begin;
      source.rows = part.rows;
      break;
    }
    case Split::replicate:
      break;
  }
  return source;
}

}  // namespace

VocabularyShare vocabulary_share(std::int64_t vocabulary, Share share) {
  const std::int64_t padded = (vocabulary + share.size - 1) / share.size;
  const std::int64_t begin = std::min(vocabulary, padded * share.rank);
  return {begin, std::min(padded, vocabulary - begin), padded};
}

DecoderConfig member_config(DecoderConfig config, Share share) {
  PROCTOR_CHECK(config.heads % share.size == 0 && config.intermediate % share.size == 0 &&
                    (config.kv_heads % share.size == 0 || share.size % config.kv_heads == 0),
                "sizes that cannot be divided are refused before a gang is formed");
  config.heads /= share.size;
  config.kv_heads = std::max<std::int64_t>(1, config.kv_heads / share.size);
  config.intermediate /= share.size;
  config.vocabulary = vocabulary_share(config.vocabulary, share).padded;
  return config;
}

std::vector<WeightSource> member_sources(const DecoderConfig& config, Share share) {
  std::vector<WeightSource> sources = decoder_weight_sources(config);
  const std::vector<WeightSource> mine = decoder_weight_sources(member_config(config, share));
  for (std::size_t i = 0; i < sources.size(); ++i) sources[i] = cut(std::move(sources[i]), mine[i], config, share);
  return sources;
}

}  // namespace proctor
