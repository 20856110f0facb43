#include "worker/kinds/kinds.h"

#include "sharding/protocol/error.h"
#include "sharding/protocol/kinds.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/models/row_parallel.h"

namespace proctor {

const Kind& find_kind(const std::string& name) {
  static const Kind* const table[] = {
      &generator_kind(), &embedding_kind(), &cross_encoder_kind(), &colbert_kind(), &monot5_kind(),
      &upr_kind(),       &tart_kind(),      &llm_reranker_kind(),  &rankgpt_kind(), &longllmlingua_kind()};
  for (const Kind* kind : table)
    if (kind->name == name) return *kind;
  throw InputError("kind '" + name + "' is not known (known: " + kind_names() + ")");
}

Weights read_weights(const ModelFolder& folder, const Module& module, Device& device, const Communicator& gang,
                     const Announce& announce) {
  const DType dtype =
      module.dtype == DType::automatic ? dtype_from(folder.checkpoint_dtype).value_or(DType::float32) : module.dtype;
  const at::ScalarType type = dtype == DType::bfloat16  ? at::kBFloat16
                              : dtype == DType::float16 ? at::kHalf
                                                        : at::kFloat;
  const Share share = share_of(gang);
  return Weights(Checkpoint(module.path), folder_parameters(folder, share), folder_sources(folder, share),
                 at::TensorOptions().dtype(type).device(device.torch()), announce);
}

}  // namespace proctor
