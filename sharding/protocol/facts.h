// What plan, cost and identity know of a model and of a machine; asked of the worker binary (`proctor-worker check`,
// `probe`), so that the orchestrator links no LibTorch.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sharding/protocol/vision_facts.h"

namespace proctor {

/// What a guest engine says of itself.
struct EngineFacts {
  std::string name;  ///< "": proctor's own
  std::uint32_t protocol = 0;
  std::map<std::string, std::string> versions = {};     ///< package -> version
  std::vector<std::string> answers = {};                ///< request types
  std::vector<std::string> promises = {};               ///< pure, batch_invariant, shares_beginnings, logprobs, ...
  std::string code_hash = {};                           ///< of the engine's own file
  std::map<std::string, std::string> environment = {};  ///< variables that decide numbers

  bool native() const { return name.empty(); }
  bool promises_to_be(const std::string& what) const;
};

struct ModelFacts {
  std::string architecture;             ///< config.json's name, e.g. LlamaForCausalLM
  std::string checkpoint_dtype;         ///< float32, bfloat16 or float16
  std::uint64_t parameters = 0;         ///< elements, tied tensors once
  std::uint64_t active_parameters = 0;  ///< of them, those that a token goes through; 0: all
  std::uint64_t weight_bytes = 0;       ///< on disk
  std::uint64_t layers = 0, hidden = 0, heads = 0, kv_heads = 0, head_dim = 0, intermediate = 0, vocabulary = 0;
  std::uint64_t feed_forward = 0;  ///< elements that a token has in a feed-forward block at most; 0: 3 x intermediate
  std::int64_t max_length = 0;     ///< tokens: of the module that was asked for, else as lm-eval finds it
  double bytes_per_token = 4.0;    ///< estimate, of English text
  std::string model_hash;          ///< of every byte that decides a number
  std::string folder_hash = {};    ///< of as much as every node can compare before it loads (folder_hash.h)
  std::string eos_text, bos_text;  ///< special tokens as text, for the results file
  bool shares_beginnings = true;   ///< what texts begin with alike is computed once
  std::vector<std::string> kinds = {"generator"};  ///< what it can be used as
  std::vector<std::string> notes = {};             ///< what its user should know, and nothing is wrong with
  VisionFacts vision = {};                         ///< what it does with images, as its module prepares them
  std::string image_processor = {};                ///< what auto is in this folder: slow or fast
  EngineFacts engine = {};                         ///< whose facts these are
};

struct DeviceFacts {
  std::string kind = "cpu";     ///< "cpu", or the GPU's name
  std::uint32_t count = 1;      ///< devices on this node
  std::uint64_t bytes = 0;      ///< of one device; host memory for "cpu"
  std::string instruction_set;  ///< ATen's CPU capability, e.g. AVX512
  std::string torch_version, nccl_version, cuda_driver;
  std::string numerics;         ///< hash of proctor's own sources that compute
  std::string image_decoders;   ///< versions of the libraries that decode images
  std::vector<int> numa_nodes;  ///< of each device; -1 unknown
  /// Of one CPU thread: floating-point operations a second in a matrix product; 0: not measured.
  double float32_flops = 0, bfloat16_flops = 0;
};

}  // namespace proctor
