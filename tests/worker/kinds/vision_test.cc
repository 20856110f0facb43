// Towers, projectors and the decoders behind them against transformers 4.57.1 (tests/data/goldens/vision): features,
// logits behind a prompt, continuations at several batch sizes, greedy texts, by one worker and by a gang of two.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/worker/support/goldens.h"
#include "tests/worker/support/members.h"
#include "tests/worker/support/tolerance.h"
#include "worker/attention/prefix_cache.h"
#include "worker/checkpoint/image_processor.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/checkpoint/text_codec.h"
#include "worker/images/decode.h"
#include "worker/images/processor.h"
#include "worker/inference/generation_loop.h"
#include "worker/inference/scoring.h"
#include "worker/kinds/image_batches.h"
#include "worker/models/decoder.h"
#include "worker/models/vision/vision_tower.h"

namespace proctor {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

const fs::path kGoldens = fs::path(PROCTOR_SOURCE) / "tests/data/goldens/vision";

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Json json_of(const fs::path& path) { return Json::parse(bytes_of(path)); }

/// Cases as they are compared: where 4.57.1 is not the model, with what the right model gives.
std::vector<Json> cases_of(const std::string& family) {
  const Json golden = json_of(kGoldens / (family + ".json"));
  const bool corrected = std::ranges::any_of(golden["cases"], [](const Json& one) { return one.contains("variant"); });
  std::vector<Json> cases;
  Json before;
  for (const Json& one : golden["cases"]) {
    if (one.contains("variant")) {
      Json merged = before;
      merged.update(one);
      cases.push_back(merged);
    } else {
      before = one;
      if (!corrected || one["images"].empty()) cases.push_back(one);
    }
  }
  std::erase_if(cases, [](const Json& one) { return one.value("nested", false) && one["images"].size() > 1; });
  return cases;
}

struct Open {
  ModelFolder files;
  TextCodec codec;
  Weights weights;
  VisionTower tower;
  ImageFeatures features;
  ImageSpans spans;
  Decoder decoder;
  PrefixCache prefix;
  Tokens no_eos = {257};
  GenerationLoop loop;

  Open(const std::string& family, Communicator& gang)
      : files(read_model_folder((kGoldens / family).string())),
        codec(files, std::nullopt),
        weights(Checkpoint(files.path), folder_parameters(files, share_of(gang)), folder_sources(files, share_of(gang)),
                at::TensorOptions().dtype(at::kFloat), kQuiet),
        tower(*files.vision, weights),
        spans(files.decoder.vocabulary),
        decoder(files.decoder, weights, gang, &features),
        prefix(decoder, &spans),
        loop(decoder, codec, no_eos, prefix) {}

  BatchLimits limits(BatchLimits limits = {}) const {
    if (files.decoder.images_attend_themselves && !spans.empty()) limits.prefix_unit = SIZE_MAX;
    return limits;
  }
  double tolerance(double largest) const {
    const DecoderConfig& c = files.decoder;
    const VisionConfig& v = *files.vision;
    const std::int64_t width = std::max({c.hidden, c.intermediate, v.intermediate, v.merged(), v.patch_values()});
    return largest * rounding_of_network(at::kFloat, width, c.layers + v.layers);
  }
};

void expect_samples(const at::Tensor& got, const Json& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(got.sizes().vec(), expected["shape"].get<std::vector<std::int64_t>>()) << what;
  const at::Tensor flat = got.flatten();
  for (std::int64_t i = 0; i < 64; ++i)
    ASSERT_NEAR(flat[i * (flat.numel() - 1) / 63].item<double>(), expected["sample"][static_cast<std::size_t>(i)],
                tolerance)
        << what << ", sample " << i;
}

/// The case's images shown, and its ids with theirs.
Tokens shown(Open& open, const Json& one, const std::string& what) {
  open.prefix.clear();
  open.spans = ImageSpans(open.files.decoder.vocabulary);
  open.features = {};
  Tokens ids = one["input_ids"].get<Tokens>();
  if (one["images"].empty()) return ids;
  const std::string processor = one["image_processor"];
  const auto prepared =
      read_image_processor(open.files.path, json_of(fs::path(open.files.path) / "config.json"),
                           processor.ends_with("Fast") ? ProcessorChoice::fast : ProcessorChoice::slow);
  std::vector<ImageInput> inputs;
  Tokens numbers;
  for (const std::string name : one["images"]) {
    inputs.push_back(make_input(*prepared, decode_image(bytes_of(kGoldens / "images" / name), false)));
    const ImageLayout& layout = inputs.back().layout;
    const bool grid = prepared->facts.cutting == VisionFacts::Cutting::grid;
    const ImageSpan& span = open.spans.add(layout.tokens, grid ? layout.grid_height / prepared->facts.merge : 1,
                                           grid ? layout.grid_width / prepared->facts.merge : layout.tokens);
    for (std::int64_t i = 0; i < span.tokens; ++i) numbers.push_back(span.first + static_cast<TokenId>(i));
  }
  open.features = image_features(open.tower, inputs, 100000, [](auto, auto) {});
  const double tolerance = open.tolerance(open.features.rows.abs().max().item<double>());
  expect_samples(open.features.rows, one["image_features"], tolerance, what + ", features");
  for (std::size_t i = 0; i < open.features.deep.size(); ++i)
    expect_samples(open.features.deep[i], one["deepstack"][i],
                   open.tolerance(open.features.deep[i].abs().max().item<double>()), what + ", deepstack");
  std::size_t next = 0;
  for (TokenId& id : ids)
    if (id == prepared->facts.token_id) id = numbers.at(next++);
  EXPECT_EQ(next, numbers.size()) << what;
  return ids;
}

ScoredRow row_of(Tokens prompt, const Tokens& continuation) {
  prompt.insert(prompt.end(), continuation.begin(), continuation.end() - 1);
  return {std::move(prompt), continuation};
}

void expect_continuations(Open& open, const Tokens& ids, const Json& one, double largest, const std::string& what) {
  std::vector<ScoredRow> rows;
  for (const Json& more : one["continuations"]) rows.push_back(row_of(ids, more["ids"].get<Tokens>()));
  for (const BatchLimits& cut : {BatchLimits{}, BatchLimits{24, 6, 2, 4}, BatchLimits{64, 20, 8, 8}}) {
    std::vector<RowScore> scores(rows.size());
    for (const Batch& batch : make_batches(rows, open.limits(cut))) {
      open.prefix.ensure(batch, rows, open.limits(cut), kQuiet);
      score_batch(open.decoder, batch, rows, open.prefix, scores);
    }
    for (std::size_t i = 0; i < rows.size(); ++i)
      EXPECT_NEAR(scores[i].sum, one["continuations"][i]["logprob"].get<double>(),
                  2 * static_cast<double>(rows[i].targets.size()) * open.tolerance(largest))
          << what << ", continuation " << i << ", batches of " << cut.max_batch_tokens;
  }
}

void expect_greedy(Open& open, const Tokens& ids, const Json& one, const std::string& what) {
  GenerationRow row;
  row.prompt = ids;
  row.max_new = 16;
  std::vector<GenerationRow> rows = {row, row};
  rows[1].prompt.pop_back();  // shares its beginning
  for (const BatchLimits& cut : {BatchLimits{}, BatchLimits{64, 20, 8, 8}}) {
    for (GenerationRow& again : rows) again.generated.clear();
    open.loop.run(rows, open.limits(cut), kQuiet);
    EXPECT_EQ(rows[0].generated, one["greedy"].get<Tokens>()) << what;
  }
}

void expect_case(Open& open, const Json& one, const std::string& what) {
  const at::NoGradGuard no_grad;
  const Tokens ids = shown(open, one, what);
  const Batch batch = chain_batch(ids, 0, ids.size());
  const TokenId last = static_cast<TokenId>(ids.size()) - 1;
  const at::Tensor states = open.prefix.forward(batch, {&last, 1});
  if (open.decoder.gang().size() == 1) {
    const at::Tensor logits = open.decoder.logits(states)[0];
    expect_samples(logits, one["last_logits"], open.tolerance(logits.abs().max().item<double>()), what + ", logits");
  }
  double largest = 0;
  for (const Json& value : one["last_logits"]["sample"]) largest = std::max(largest, std::abs(value.get<double>()));
  expect_continuations(open, ids, one, largest, what);
  expect_greedy(open, ids, one, what);
}

class VisionGoldens : public testing::TestWithParam<std::string> {};

TEST_P(VisionGoldens, features_logits_sums_and_texts_are_transformers) {
  const auto solo = make_solo_communicator();
  Open open(GetParam(), *solo);
  std::size_t number = 0;
  for (const Json& one : cases_of(GetParam())) expect_case(open, one, GetParam() + " case " + std::to_string(number++));
  EXPECT_GT(number, 0u);
}

TEST_P(VisionGoldens, a_gang_of_two_gives_the_same) {
  expect_well(Members(2).run([&](Communicator& gang) {
    Open open(GetParam(), gang);
    std::size_t number = 0;
    for (const Json& one : cases_of(GetParam()))
      expect_case(open, one, GetParam() + ", in a gang, case " + std::to_string(number++));
  }));
}

INSTANTIATE_TEST_SUITE_P(Families, VisionGoldens,
                         testing::Values("llava", "llava_next", "llava_onevision", "qwen2_vl", "qwen2_5_vl", "qwen3_vl",
                                         "smolvlm", "internvl", "gemma3"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace proctor
