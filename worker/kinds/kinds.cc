#include "worker/kinds/kinds.h"

#include "sharding/error.h"

namespace proctor {

const Kind& find_kind(const std::string& name) {
  static const Kind* const table[] = {
      &generator_kind(), &embedding_kind(), &cross_encoder_kind(), &colbert_kind(), &monot5_kind(),
      &upr_kind(),       &tart_kind(),      &llm_reranker_kind(),  &rankgpt_kind(), &longllmlingua_kind()};
  std::string known;
  for (const Kind* kind : table) {
    if (kind->name == name) return *kind;
    known += (known.empty() ? "" : ", ") + kind->name;
  }
  throw InputError("kind '" + name + "' is not known (known: " + known + ")");
}

at::ScalarType scalar_type(DType dtype, const std::string& checkpoint) {
  const DType chosen = dtype == DType::automatic ? dtype_from(checkpoint).value_or(DType::float32) : dtype;
  return chosen == DType::bfloat16 ? at::kBFloat16 : chosen == DType::float16 ? at::kHalf : at::kFloat;
}

}  // namespace proctor
