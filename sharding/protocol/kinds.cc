#include "sharding/protocol/kinds.h"

#include <algorithm>

namespace proctor {

std::span<const KindRow> kinds() {
  using enum RequestType;
  static const std::vector<KindRow> table = {
      {"generator",
       {loglikelihood, loglikelihood_rolling, generate_until},
       "a decoder with a language-model head, or an encoder with a decoder"},
      {"embedding", {embed}, "an encoder, or a decoder whose texts are pooled by their last token"},
      {"cross_encoder", {score_pair}, "an encoder with a classification head", {"activation", "truncation"}},
      {"colbert", {score_pair}, "an encoder with a projection (HF_ColBERT), or a plain one", {"compat"}},
      {"monot5", {score_pair}, "a T5 that generates", {"compat", "tokens"}},
      {"upr", {score_pair}, "a T5 that generates", {"prefix", "suffix"}},
      {"tart", {score_pair}, "a T5 encoder with a classification head", {"instruction"}},
      {"llm_reranker",
       {score_pair},
       "a decoder with a language-model head, or an encoder with a decoder",
       {"normalize", "prompt"}},
      {"rankgpt",
       {score_pair},
       "a decoder with a language-model head, or an encoder with a decoder",
       {"step", "window"}},
      {"longllmlingua", {compress}, "a decoder with a language-model head, or an encoder with a decoder"},
      {"bm25", {retrieve}, "no model", {"b", "delta", "k1", "method", "tokenizer"}, "retrieval"},
      {"fusion", {retrieve}, "no model", {"k", "method", "minimums", "normalize", "weights"}, "fuse"},
      {"filter", {retrieve}, "no model", {"percentile", "reverse", "threshold", "top"}, "filter"},
  };
  return table;
}

const KindRow* find_kind_row(const std::string& name) {
  const auto row = std::ranges::find(kinds(), name, &KindRow::name);
  return row == kinds().end() ? nullptr : &*row;
}

bool has_model(const std::string& kind) {
  const KindRow* row = find_kind_row(kind);
  return !row || row->has_model();
}

std::string kind_names() {
  std::string names;
  for (const KindRow& row : kinds()) names += (names.empty() ? "" : ", ") + row.name;
  return names;
}

}  // namespace proctor
