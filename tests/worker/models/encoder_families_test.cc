// Two random checkpoints of every encoder architecture against transformers' numbers
// (tests/oracle/make_encoder_family_goldens.py), each text alone and all together, by one worker and by a gang.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>

#include "sharding/planning/tensor_parallel.h"
#include "tests/worker/support/goldens.h"
#include "tests/worker/support/members.h"
#include "tests/worker/support/tolerance.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/checkpoint/safetensors.h"
#include "worker/models/encoder.h"
#include "worker/models/row_parallel.h"
#include "worker/models/weights.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

const Json& encoder_goldens() {
  static const Json json = goldens("encoder_family_goldens.json");
  return json;
}

/// Texts one after another, as an Encoder reads them.
struct Packed {
  Tokens tokens, types;
  std::vector<std::int64_t> lengths;
};

/// The goldens' texts from `first` on, `count` of them. `types`: the model has more than one.
Packed packed(std::size_t first, std::size_t count, bool types) {
  Packed all;
  for (std::size_t t = first; t < first + count; ++t) {
    const auto ids = encoder_goldens()["texts"][t].get<Tokens>();
    const auto kinds = encoder_goldens()["types"][t].get<Tokens>();
    all.tokens.insert(all.tokens.end(), ids.begin(), ids.end());
    for (const TokenId kind : kinds) all.types.push_back(types ? kind : 0);
    all.lengths.push_back(static_cast<std::int64_t>(ids.size()));
  }
  return all;
}

std::size_t text_count() { return encoder_goldens()["texts"].size(); }

/// A member's share of a tiny model.
struct Open {
  ModelFolder files;
  Weights weights;
  Encoder encoder;
  const Json& golden;

  Open(const std::string& model, Communicator& gang)
      : files(read_model_folder(tiny_model("encoder-" + model))),
        weights(Checkpoint(files.path), folder_parameters(files, share_of(gang)), folder_sources(files, share_of(gang)),
                at::TensorOptions().dtype(at::kFloat), kQuiet),
        encoder(files.encoder.value(), weights, gang),
        golden(encoder_goldens()["models"][model]) {}

  /// All the texts in one call, or the one at `text` alone.
  Packed texts(std::optional<std::size_t> text = std::nullopt) const {
    return packed(text.value_or(0), text ? 1 : text_count(), files.encoder->types > 1);
  }
  at::Tensor states(const Packed& texts) const { return encoder.forward(texts.tokens, texts.types, texts.lengths); }

  /// By width, depth and how large the numbers are.
  double tolerance(double largest) const {
    const EncoderConfig& c = *files.encoder;
    return largest * rounding_of_network(at::kFloat, std::max(c.hidden, c.intermediate), c.layers);
  }
};

double largest_of(const at::Tensor& x) { return x.abs().max().item<double>(); }

void expect_near(const at::Tensor& got, const Json& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(got.size(0), static_cast<std::int64_t>(expected.size())) << what;
  for (std::int64_t i = 0; i < got.size(0); ++i)
    ASSERT_NEAR(got[i].item<double>(), expected[static_cast<std::size_t>(i)].get<double>(), tolerance)
        << what << ", number " << i;
}

/// Of a text: its first token's state, its last one's and the mean of all; of a text of one token they are the same.
void expect_text(const Open& open, const at::Tensor& states, std::size_t text, const std::string& how) {
  const Json& expected = open.golden["states"][text];
  const double tolerance = open.tolerance(largest_of(states));
  const at::Tensor rows[] = {states[0], states[-1], states.mean(0)};
  for (std::size_t i = 0; i < 3; ++i)
    expect_near(rows[i], expected[expected.size() == 1 ? 0 : i], tolerance,
                how + ", text " + std::to_string(text) + ", row " + std::to_string(i));
}

void expect_states(const Open& open) {
  const Packed all = open.texts();
  const at::Tensor together = open.states(all);
  std::int64_t begin = 0;
  for (std::size_t t = 0; t < text_count(); begin += all.lengths[t++]) {
    expect_text(open, together.narrow(0, begin, all.lengths[t]), t, "together");
    expect_text(open, open.states(open.texts(t)), t, "alone");
  }
}

void expect_first_states(const Open& open) {
  const Packed all = open.texts();
  const at::Tensor together = open.encoder.forward_first(all.tokens, all.types, all.lengths);
  const double tolerance = open.tolerance(largest_of(together));
  for (std::size_t t = 0; t < text_count(); ++t) {
    const Json& expected = open.golden["states"][t][0];
    expect_near(together[static_cast<std::int64_t>(t)], expected, tolerance, "together, text " + std::to_string(t));
    const Packed one = open.texts(t);
    expect_near(open.encoder.forward_first(one.tokens, one.types, one.lengths)[0], expected, tolerance,
                "alone, text " + std::to_string(t));
  }
}

/// A logit may be small while what it is a sum of is not.
void expect_logits(const Open& open) {
  if (!open.golden.contains("logits")) return;
  const Packed all = open.texts();
  const at::Tensor together = open.encoder.label_logits(all.tokens, all.types, all.lengths);
  EXPECT_EQ(together.scalar_type(), at::kFloat);
  const double tolerance = open.tolerance(std::max(largest_of(together), largest_of(open.states(all))));
  for (std::size_t t = 0; t < text_count(); ++t) {
    const Json& expected = open.golden["logits"][t];
    expect_near(together[static_cast<std::int64_t>(t)], expected, tolerance, "together, text " + std::to_string(t));
    const Packed one = open.texts(t);
    expect_near(open.encoder.label_logits(one.tokens, one.types, one.lengths)[0], expected, tolerance,
                "alone, text " + std::to_string(t));
  }
}

/// Padding in a text (tests/oracle/make_encoder_padding_goldens.py): some architectures do not count it as a place.
const Json& padded_goldens() {
  static const Json json = goldens("encoder_padding_goldens.json");
  return json;
}

void expect_padded(const Open& open, const Json& golden) {
  const auto tokens = golden["tokens"].get<Tokens>();
  const Tokens types(tokens.size(), 0);
  const std::int64_t lengths[] = {static_cast<std::int64_t>(tokens.size())};
  const at::Tensor states = open.encoder.forward(tokens, types, lengths);
  expect_near(states.mean(0), golden["mean"], open.tolerance(largest_of(states)), "padded");
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& [name, golden] : encoder_goldens()["models"].items()) all.push_back(name);
  return all;
}

void in_a_gang(const std::string& model, std::uint32_t size, const std::function<void(const Open&)>& check) {
  SCOPED_TRACE(model);
  expect_well(Members(size).run([&](Communicator& gang) {
    const at::NoGradGuard no_grad;
    const Open open(model, gang);
    SCOPED_TRACE(model);
    check(open);
  }));
}

void of_all(const std::function<void(const Open&)>& check) {
  for (const std::string& model : names()) in_a_gang(model, 1, check);
}

TEST(EncoderFamilies, have_transformers_states) { of_all(expect_states); }
TEST(EncoderFamilies, have_transformers_states_of_first_tokens_where_nothing_else_is_computed) {
  of_all(expect_first_states);
}
TEST(EncoderFamilies, have_transformers_states_where_padding_stands_in_the_text) {
  for (const auto& [model, golden] : padded_goldens()["models"].items())
    in_a_gang(model, 1, [&golden = golden](const Open& open) { expect_padded(open, golden); });
}

TEST(EncoderFamilies, have_transformers_logits_of_labels) { of_all(expect_logits); }

/// Of each architecture at least one checkpoint is divided.
TEST(EncoderFamilies, give_the_same_numbers_in_a_gang_of_two) {
  std::map<std::string, bool> divided;
  for (const std::string& model : names()) {
    const bool can = !cannot_split(check_model(read_model_folder(tiny_model("encoder-" + model))), 2);
    divided[model.substr(0, model.rfind('-'))] |= can;
    if (can)
      in_a_gang(model, 2,
                [](const Open& open) { expect_states(open), expect_first_states(open), expect_logits(open); });
  }
  for (const auto& [family, can] : divided) EXPECT_TRUE(can) << family;
}

}  // namespace
}  // namespace proctor
