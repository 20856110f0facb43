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
  };
  return table;
}

const KindRow* find_kind_row(const std::string& name) {
  const auto row = std::ranges::find(kinds(), name, &KindRow::name);
  return row == kinds().end() ? nullptr : &*row;
}

std::string kind_names() {
  std::string names;
  for (const KindRow& row : kinds()) names += (names.empty() ? "" : ", ") + row.name;
  return names;
}

}  // namespace proctor
