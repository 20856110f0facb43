// Facts without a worker binary: a small model whose hash a test may set, on a CPU.
#pragma once

#include <string>

#include "orchestrator/planning/work.h"

namespace proctor {

class FakeFacts final : public FactSource {
 public:
  ModelFacts check(const Module&) override {
    ModelFacts facts;
    facts.parameters = 1000;
    facts.checkpoint_dtype = "float32";
    facts.model_hash = hash;
    facts.max_length = 64;
    facts.heads = 9;
    facts.kv_heads = 3;
    facts.intermediate = 1536;
    facts.vocabulary = 49152;
    return facts;
  }
  DeviceFacts probe() override { return {}; }
  std::string hash = "h";
};

}  // namespace proctor
