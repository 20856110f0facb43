// The uses of a model, behind one table: {name, open, check}. A new kind is one file, a row here and in kinds.cc, the
// architectures that can be it (model_check), and a row in sharding/protocol/kinds.cc with what it answers.
#pragma once

#include <c10/core/ScalarType.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sharding/protocol/module.h"
#include "sharding/protocol/request.h"
#include "worker/communicator/communicator.h"
#include "worker/device/cleanup.h"
#include "worker/device/device.h"
#include "worker/models/weights.h"

namespace proctor {

struct ModelFolder;
class TextCodec;

/// One shard as a module computes it. Batches are a pure function of the first two; the others say how they are run.
struct ShardRun {
  std::span<const Request> requests;
  std::int64_t max_batch_tokens = 0;
  std::span<const std::uint32_t> isolated = {};   ///< batches to be run request by request
  std::span<const std::uint32_t> set_aside = {};  ///< requests not to be run: their answers are empty
  std::span<const Request> next = {};             ///< of the shard that probably follows
  ImageOptions image = {}, next_image = {};       ///< what the task of either changes of the module's

  bool left_out(std::uint32_t request) const { return std::ranges::find(set_aside, request) != set_aside.end(); }
  /// Is this batch run request by request? Also where one of its requests was set aside.
  bool request_by_request(std::uint32_t batch, std::span<const std::uint32_t> its_requests) const {
    return std::ranges::find(isolated, batch) != isolated.end() ||
           std::ranges::any_of(its_requests, [this](std::uint32_t r) { return left_out(r); });
  }
};

/// What a module, or this member's share of it, has computed so far.
struct Computed {
  std::uint64_t tokens = 0;
  double flops = 0;       ///< that the answers need, after sharing: products and attention
  double tokenize_s = 0;  ///< seconds from text to token ids, and from files to pixel values, not done meanwhile
  std::uint64_t images = 0, patches = 0;  ///< that a tower computed
  double vision_s = 0;                    ///< in which it did
};

/// A module, or this member's share of it, on this worker's device. Compute thread only.
class OpenModule {
 public:
  virtual ~OpenModule() = default;
  /// Collective. One answer a request, in order. A request that cannot be answered has its error; out of memory is
  /// thrown (c10::OutOfMemoryError). Announces each batch before it runs.
  virtual std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) = 0;
  virtual void drop_batches() = 0;  ///< teardown: what batches left cached, and what was made ahead
  /// Teardown: destroys CUDA graphs, which would hold communicators for ever. Returns how many are still alive.
  virtual std::uint64_t drop_graphs() { return 0; }
  virtual Computed computed() const = 0;
  /// Seconds of the products alone for those FLOPs, timed now at the batches' mean size: what run() cannot undercut.
  virtual double seconds_of_products() { return 0; }
  virtual std::uint64_t bytes_read() const = 0;
};

struct Kind {
  std::string name;
  /// The communicator outlives every run(), not necessarily the module.
  std::function<std::shared_ptr<OpenModule>(const Module&, Device&, Communicator&, const Announce&)> open;
  /// What open would refuse, found before anything starts: options, tokens, heads. Throws InputError. Reads no weights.
  /// Returns max_length: of how many tokens a text, or query and passage together, is computed.
  std::function<std::int64_t(const ModelFolder&, TextCodec&, const Module&)> check;
};

template <class Opened>
std::shared_ptr<OpenModule> open_as(const Module& module, Device& device, Communicator& gang,
                                    const Announce& announce) {
  const auto end = [](Opened* opened) {
    opened->drop_batches();  // a thread that makes rows ahead calls the kind's own functions
    delete opened;
  };
  return std::shared_ptr<OpenModule>(new Opened(module, device, gang, announce), end);
}

const Kind& generator_kind();
const Kind& embedding_kind();
const Kind& cross_encoder_kind();
const Kind& monot5_kind();
const Kind& upr_kind();
const Kind& tart_kind();
const Kind& rankgpt_kind();
const Kind& longllmlingua_kind();
const Kind& colbert_kind();
const Kind& llm_reranker_kind();

/// Throws InputError naming the kinds there are.
const Kind& find_kind(const std::string& name);

/// This member's weights of a module, in the module's dtype (automatic: the checkpoint's), read onto the device.
Weights read_weights(const ModelFolder& folder, const Module& module, Device& device, const Communicator& gang,
                     const Announce& announce);

}  // namespace proctor
