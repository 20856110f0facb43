// ColBERT (Khattab and Zaharia 2020, arXiv:2004.12832): every token of a query finds its nearest of a passage, and the
// likenesses are added up. Markers, masks, punctuation and written padding tokens as colbert-ai has them; with compat:
// autorag the mean over the query's tokens of a plain encoder's states, as AutoRAG has it (without the padding that it
// lets in).
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <map>
#include <set>

#include "sharding/protocol/error.h"
#include "worker/base/clock.h"
#include "worker/checkpoint/colbert_settings.h"
#include "worker/kernels/token_tensor.h"
#include "worker/kinds/each_request.h"
#include "worker/kinds/encoder_module.h"
#include "worker/kinds/options.h"

namespace proctor {
namespace {

constexpr const char* kPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

constexpr std::size_t kFramed = 3;  // [CLS], the marker, [SEP]

struct Settings : ColbertSettings {
  bool autorag = false;
  std::int32_t query_id = -1, passage_id = -1, mask_id = -1, pad_id = -1;  ///< tokens; -1: none
};

Settings read_settings(const ModelFolder& folder, TextCodec& codec, const Module& module) {
  Settings settings{read_colbert_settings(folder.path), as_autorag(module)};
  if (settings.autorag) return settings;
  if (folder.encoder->projection == 0)
    refuse(module, folder.path + " is no ColBERT checkpoint (" + folder.architecture +
                       " has no projection, HF_ColBERT has); option compat: autorag compares a plain encoder's states");
  if (settings.query_tokens > folder.encoder->max_tokens())
    refuse(module, folder.path + ": query_maxlen " + std::to_string(settings.query_tokens) + " is past the model's " +
                       std::to_string(folder.encoder->max_tokens()) + " positions");
  settings.query_id = codec.id(settings.query_marker);
  settings.passage_id = codec.id(settings.passage_marker);
  settings.mask_id = codec.id("[MASK]");
  settings.pad_id = codec.pad_id() >= 0 ? codec.pad_id() : codec.id("[PAD]");
  for (const auto& [token, id] :
       {std::pair(settings.query_marker, settings.query_id), std::pair(settings.passage_marker, settings.passage_id),
        std::pair(std::string("[MASK]"), settings.mask_id)})
    if (id < 0 || id >= folder.vocabulary()) refuse(module, folder.path + " has no token " + token);
  if (codec.encode_at_most(". ", kFramed).ids.size() != kFramed)
    refuse(module, folder.path + ": the tokenizer does not put [CLS] and [SEP] around a text");
  return settings;
}

std::int64_t passage_limit(const ModelFolder& folder, const Module& module, const Settings& settings) {
  const std::int64_t most = token_limit(folder, module, folder.max_length);
  return settings.autorag ? most : std::min(settings.passage_tokens, most);
}

std::int64_t check(const ModelFolder& folder, TextCodec& codec, const Module& module) {
  refuse_bos(module);
  return passage_limit(folder, module, read_settings(folder, codec, module));
}

class Colbert final : public EncoderModule {
 public:
  Colbert(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : EncoderModule(module, device, gang, announce),
        settings_(read_settings(folder(), codec(), module)),
        max_tokens_(passage_limit(folder(), module, settings_)) {
    if (settings_.skip_punctuation && !settings_.autorag)
      for (const char* symbol = kPunctuation; *symbol; ++symbol) {
        const auto ids = codec().encode_without_specials({symbol, 1});
        if (!ids.empty()) skipped_.insert(ids[0]);
      }
    if (!settings_.autorag) skipped_.insert(settings_.pad_id);
  }

  /// Queries first, each distinct one once; then the passages, each scored as soon as its batch is computed.
  std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) override {
    const at::NoGradGuard no_grad;
    const auto begin = Clock::now();
    std::map<std::string, TextRow> queries;
    std::vector<TextRow> passages;
    std::vector<Response> responses = responses_with(errors_of_each(shard.requests.size(), [&](std::uint32_t i) {
      const std::string& text = text_of(shard.requests[i], 0);
      if (!queries.contains(text)) {
        TextRow query = query_row(text);
        TextModule::check(query);
        queries.emplace(text, std::move(query));
      }
      TextRow passage = row_of(shard.requests[i]);
      passage.requests = {i};
      TextModule::check(passage);
      queries.at(text).requests.push_back(i);
      passages.push_back(std::move(passage));
    }));
    std::vector<TextRow> asked;
    for (auto& [text, query] : queries)
      if (!query.requests.empty()) asked.push_back(std::move(query));
    tokenize_s_ += seconds_since(begin);
    std::vector<at::Tensor> query_of(shard.requests.size());  // of each request: [tokens, width]
    const std::uint32_t next = run_rows(asked, 0, shard, cleanup, announce, [&](std::span<const TextRow> rows) {
      each_text(rows, [&](const TextRow& row, const at::Tensor& vectors) {
        const at::Tensor own = vectors.clone();
        for (const std::uint32_t request : row.requests) query_of[request] = own;
      });
    });
    run_rows(passages, next, shard, cleanup, announce, [&](std::span<const TextRow> rows) {
      std::vector<at::Tensor> scores;
      each_text(rows, [&](const TextRow& row, const at::Tensor& vectors) {
        const at::Tensor& query = query_of[row.requests[0]];
        if (!query.defined()) {  // set aside, with the request that stood for it: what is answered is replaced below
          scores.push_back(at::zeros({}, vectors.options()));
          return;
        }
        const at::Tensor nearest = at::matmul(query, kept(row, vectors).t()).amax(1);
        scores.push_back(settings_.autorag ? nearest.mean() : nearest.sum());
      });
      answer_scores(rows, at::stack(scores), responses);
    });
    for (std::uint32_t i = 0; i < query_of.size(); ++i)
      if (!query_of[i].defined() && !shard.left_out(i) && responses[i].error.empty())
        responses[i] = {{}, "its query was set aside with another passage"};
    return responses;
  }

 private:
  TextRow query_row(const std::string& text) {
    if (settings_.autorag) return {codec().encode_at_most(text, static_cast<std::size_t>(max_tokens_)), {}};
    TextRow row = marked(text, settings_.query_id, settings_.query_tokens);
    std::ranges::replace(row.encoding.ids, settings_.pad_id, settings_.mask_id);  // as written in a text
    if (!settings_.attend_to_masks) row.attended = row.encoding.ids.size();
    row.encoding.ids.resize(static_cast<std::size_t>(settings_.query_tokens), settings_.mask_id);
    row.encoding.type_ids.resize(row.encoding.ids.size(), 0);
    return row;
  }
  TextRow row_of(const Request& request) override {
    const std::string& text = text_of(request, 1);
    return settings_.autorag ? TextRow{codec().encode_at_most(text, static_cast<std::size_t>(max_tokens_)), {}}
                             : marked(text, settings_.passage_id, max_tokens_);
  }
  void compute(std::span<const TextRow>, std::vector<Response>&) const override {}  // run() knows both sides

  /// The marker takes the place of a full stop put before the text.
  TextRow marked(const std::string& text, std::int32_t marker, std::int64_t most) {
    TextRow row{codec().encode_at_most(". " + text, static_cast<std::size_t>(most)), {}};
    row.encoding.ids.at(1) = marker;
    return row;
  }

  /// Calls `act` with each row's vectors, of length 1, [tokens, width], float32.
  void each_text(std::span<const TextRow> rows,
                 const std::function<void(const TextRow&, const at::Tensor&)>& act) const {
    const PackedRows all = packed(rows);
    const at::Tensor states = states_of(all);
    const at::Tensor vectors = (settings_.autorag ? states : encoder().project(states)).to(at::kFloat);
    const at::Tensor unit = vectors / vectors.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12);
    std::int64_t begin = 0;
    for (std::size_t i = 0; i < rows.size(); begin += all.lengths[i++])
      act(rows[i], unit.narrow(0, begin, all.lengths[i]));
  }

  /// Without the tokens that are not matched.
  at::Tensor kept(const TextRow& row, const at::Tensor& vectors) const {
    if (skipped_.empty()) return vectors;
    std::vector<std::int32_t> places;
    for (std::size_t i = 0; i < row.encoding.ids.size(); ++i)
      if (!skipped_.contains(row.encoding.ids[i])) places.push_back(static_cast<std::int32_t>(i));
    return vectors.index_select(0, token_tensor(places, vectors.device()));
  }

  Settings settings_;
  std::int64_t max_tokens_;  // of a passage; with compat: autorag of a query too
  std::set<std::int32_t> skipped_;
};

}  // namespace

const Kind& colbert_kind() {
  static const Kind kind{"colbert", open_as<Colbert>, check};
  return kind;
}

}  // namespace proctor
