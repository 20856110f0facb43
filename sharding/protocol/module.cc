#include "sharding/protocol/module.h"

#include <array>
#include <utility>

namespace proctor {
namespace {

constexpr std::array<std::pair<DType, const char*>, 4> kDTypes = {{{DType::automatic, "auto"},
                                                                   {DType::float32, "float32"},
                                                                   {DType::bfloat16, "bfloat16"},
                                                                   {DType::float16, "float16"}}};

}  // namespace

std::string to_string(DType dtype) {
  for (const auto& [value, name] : kDTypes)
    if (value == dtype) return name;
  return "auto";
}

const std::vector<std::string>& engine_names() {
  static const std::vector<std::string> names = {"transformers", "vllm",      "sentence_transformers",
                                                 "lm_eval",      "lmms_eval", "openai"};
  return names;
}

std::optional<DType> dtype_from(const std::string& name) {
  for (const auto& [value, known] : kDTypes)
    if (name == known) return value;
  return std::nullopt;
}

}  // namespace proctor
