#include "worker/kinds/kinds.h"

#include "sharding/error.h"
#include "worker/kinds/cross_encoder.h"
#include "worker/kinds/embedding.h"
#include "worker/kinds/generator.h"

namespace proctor {

const Kind& find_kind(const std::string& name) {
  static const std::vector<Kind> table = {
      {"generator", {"loglikelihood", "loglikelihood_rolling", "generate_until"}, open_generator},
      {"embedding", {"embed"}, open_embedding},
      {"cross_encoder", {"score_pair"}, open_cross_encoder},
  };
  std::string known;
  for (const Kind& kind : table) {
    if (kind.name == name) return kind;
    known += (known.empty() ? "" : ", ") + kind.name;
  }
  throw InputError("kind '" + name + "' is not known (known: " + known + ")");
}

at::ScalarType scalar_type(DType dtype, const std::string& checkpoint) {
  const DType chosen = dtype == DType::automatic ? dtype_from(checkpoint).value_or(DType::float32) : dtype;
  return chosen == DType::bfloat16 ? at::kBFloat16 : chosen == DType::float16 ? at::kHalf : at::kFloat;
}

}  // namespace proctor
