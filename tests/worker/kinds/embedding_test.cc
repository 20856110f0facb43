// The kind `embedding` against transformers (tests/oracle/make_encoder_goldens.py), and what a batch may not change.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "sharding/protocol/error.h"
#include "tests/worker/support/goldens.h"
#include "tests/worker/support/tolerance.h"
#include "worker/checkpoint/sentence_settings.h"
#include "worker/checkpoint/text_codec.h"
#include "worker/kinds/kinds.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct Open {
  std::unique_ptr<Device> device = make_cpu_device();
  std::unique_ptr<Communicator> solo = make_solo_communicator();
  BatchCleanup cleanup{{}, *device};
  std::shared_ptr<OpenModule> module;
  explicit Open(const std::string& model, DType dtype = DType::automatic, const std::string& kind = "embedding") {
    Module spec;
    spec.kind = kind;
    spec.path = tiny_model(model);
    spec.dtype = dtype;
    module = find_kind(kind).open(spec, *device, *solo, kQuiet);
  }
  std::vector<Response> run(const std::vector<Request>& requests, std::int64_t batch_tokens = 2048,
                            std::vector<std::uint32_t> isolated = {}, std::vector<std::uint32_t> aside = {},
                            const Announce& announce = kQuiet) {
    return module->run({requests, batch_tokens, isolated, aside}, cleanup, announce);
  }
};

const std::vector<float>& vector_of(const Response& response) { return std::get<EmbedAnswer>(response.answer).vector; }

Request embed(const std::string& text) { return {{text}, Embed{}}; }

/// Of two vectors of length 1, as a share of their length.
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
  return std::sqrt(sum);
}

/// A copy of a tiny encoder whose file may be changed.
struct Changed {
  fs::path path = fs::temp_directory_path() / ("proctor-encoder-" + std::to_string(::getpid()));
  std::string kind;
  explicit Changed(const std::string& model = "bert", std::string as = "embedding") : kind(std::move(as)) {
    fs::copy(tiny_model(model), path, fs::copy_options::recursive);
  }
  ~Changed() { fs::remove_all(path); }
  std::string refusal(const std::string& file, const std::function<void(Json&)>& edit) const {
    std::ifstream in(path / file);
    const Json before = Json::parse(in);
    Json json = before;
    edit(json);
    std::ofstream(path / file) << json;
    std::string why = "accepted";
    try {
      Module module;
      module.kind = kind;
      const ModelFolder folder = read_model_folder(path.string());
      (void)check_model(folder);
      TextCodec codec(folder, std::nullopt);
      find_kind(kind).check(folder, codec, module);
    } catch (const InputError& error) {
      why = error.what();
    }
    std::ofstream(path / file) << before;
    return why;
  }
};

TEST(Embedding, ids_and_vectors_are_transformers) {
  const Json goldens = proctor::goldens("encoder_goldens.json");
  std::vector<Request> requests;
  for (const std::string text : goldens["texts"]) requests.push_back(embed(text));
  for (const auto& [model, rows] : goldens["models"].items()) {
    const std::vector<Response> answers = Open(model).run(requests);
    TextCodec codec(read_model_folder(tiny_model(model)), std::nullopt);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const std::size_t most = model == "bert" ? 24 : 64;
      EXPECT_EQ(codec.encode_at_most(goldens["texts"][i].get<std::string>(), most).ids, rows[i]["ids"].get<Tokens>());
      EXPECT_EQ(tokens(answers[i]), static_cast<std::int64_t>(rows[i]["ids"].size()));
      EXPECT_LT(distance(vector_of(answers[i]), rows[i]["vector"].get<std::vector<float>>()), rounding_of_network())
          << model << " " << goldens["texts"][i];
    }
    if (model == "bert") {
      EXPECT_GT(truncated_of(answers[3].answer), 0) << "cut at max_seq_length, and said so";
    }
  }
}

TEST(Embedding, sixteen_bits_stay_near) {
  const std::vector<Request> requests = {embed("the capital of france"), embed("a")};
  const auto exact = Open("bert").run(requests), near = Open("bert", DType::bfloat16).run(requests);
  for (std::size_t i = 0; i < requests.size(); ++i)
    EXPECT_LT(distance(vector_of(exact[i]), vector_of(near[i])), rounding_of_network(at::kBFloat16));
}

TEST(CrossEncoder, ids_and_scores_are_transformers) {
  const Json goldens = proctor::goldens("encoder_goldens.json");
  std::vector<Request> requests;
  for (const auto& pair : goldens["pair_texts"])
    requests.push_back({{pair.at(0).get<std::string>(), pair.at(1).get<std::string>()}, ScorePair{}});
  for (const auto& [model, rows] : goldens["pairs"].items()) {
    for (const std::int64_t batch_tokens : {1, 8192}) {
      const std::vector<Response> answers = Open(model, DType::automatic, "cross_encoder").run(requests, batch_tokens);
      TextCodec codec(read_model_folder(tiny_model(model)), std::nullopt);
      for (std::size_t i = 0; i < requests.size(); ++i) {
        const Encoding encoding = codec.encode_pair_at_most(text_of(requests[i], 0), text_of(requests[i], 1), 64);
        EXPECT_EQ(encoding.ids, rows[i]["ids"].get<Tokens>()) << model << " " << i;
        EXPECT_EQ(truncated_of(answers[i].answer), static_cast<std::int64_t>(encoding.truncated));
        EXPECT_NEAR(pair_score(answers[i]), rows[i]["score"].get<double>(), kTinyLogit * rounding_of_network())
            << model << " " << i;
      }
    }
  }
}

/// Where CrossEncoder.save puts it, since sentence-transformers 5.
TEST(CrossEncoder, its_activation_may_stand_in_a_file_of_its_own) {
  const Changed pairs("bert_pairs", "cross_encoder");
  const std::string folder = pairs.path.string(), file = folder + "/config_sentence_transformers.json";
  std::ofstream(file) << R"({"activation_fn": "torch.nn.modules.linear.Identity", "default_prompt_name": null})";
  EXPECT_EQ(read_pair_activation(folder, 1), PairActivation::identity);
  std::ofstream(file) << R"({"default_prompt_name": "query", "prompts": {"query": "q "}})";
  EXPECT_THROW(read_pair_activation(folder, 1), InputError);
}

TEST(CrossEncoder, refuses_a_function_or_a_head_that_it_does_not_know) {
  const Changed pairs("bert_pairs", "cross_encoder");
  EXPECT_EQ(pairs.refusal("config.json", [](Json&) {}), "accepted");
  const auto has = [&](const char* part, const std::function<void(Json&)>& edit) {
    const std::string why = pairs.refusal("config.json", edit);
    EXPECT_NE(why.find(part), std::string::npos) << why;
  };
  has("activation function torch.nn.ReLU is not supported",
      [](Json& c) { c["sentence_transformers"]["activation_fn"] = "torch.nn.ReLU"; });
  EXPECT_THROW(read_pair_activation(tiny_model("bert_pairs"), 3), InputError) << "one output or two";
  has("tensor classifier.weight has shape", [](Json& c) { c["num_labels"] = 2; });
  has("is missing from the checkpoint", [](Json& c) { c["architectures"] = {"RobertaForSequenceClassification"}; });
}

std::vector<Request> many() {
  std::vector<Request> requests;
  for (int i = 0; i < 60; ++i)
    requests.push_back(embed(std::string(static_cast<std::size_t>(i * 7 % 20), 'a' + i % 5)));
  return requests;
}

TEST(Embedding, the_batch_does_not_show_in_a_vector) {
  const auto alone = Open("roberta").run(many(), 1);
  for (const std::int64_t tokens : {32, 256, 8192}) {
    const auto together = Open("roberta").run(many(), tokens);
    for (std::size_t i = 0; i < alone.size(); ++i)
      EXPECT_LT(distance(vector_of(alone[i]), vector_of(together[i])), rounding_of_network()) << tokens << " " << i;
  }
}

TEST(Embedding, each_batch_is_announced_and_can_run_request_by_request) {
  std::vector<ProgressUnit> units;
  const Announce listen = [&](const ProgressUnit& unit) { units.push_back(unit); };
  Open open("roberta");
  const auto expected = open.run(many(), 64, {}, {}, listen);
  std::set<std::uint32_t> announced;
  for (const ProgressUnit& unit : units) announced.insert(unit.requests.begin(), unit.requests.end());
  EXPECT_EQ(announced.size(), 60u);
  const std::uint32_t left_out = units[1].requests.front();
  units.clear();
  const auto isolated = open.run(many(), 64, {1}, {left_out}, listen);
  std::size_t alone = 0;
  for (const ProgressUnit& unit : units) alone += unit.requests.size() == 1;
  EXPECT_GE(alone, 1u);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (i == left_out)
      EXPECT_FALSE(has_answer(isolated[i]));
    else
      EXPECT_LT(distance(vector_of(expected[i]), vector_of(isolated[i])), rounding_of_network()) << i;
  }
}

TEST(Embedding, a_prompt_stands_before_the_text_where_the_model_has_one) {
  Open open("bert");
  Request asked = embed("who");
  asked.ask = Embed{{"question", "query"}, ""};
  const auto answers = open.run({asked, embed("ask who"), embed("who")});
  // The same tokens twice in one call: equal to rounding, since a product may compute its last rows by another loop.
  EXPECT_LT(distance(vector_of(answers[0]), vector_of(answers[1])), rounding_of_network());
  EXPECT_GT(distance(vector_of(answers[0]), vector_of(answers[2])), 1000 * rounding_of_network());
}

/// Saved alone, a decoder's tensors have no "model." in front and its architecture is ...Model.
TEST(Embedding, a_base_model_is_the_same_decoder) {
  const std::vector<Request> requests = {embed("the capital of france"), embed("a")};
  const auto expected = Open("llama").run(requests);
  const Changed base("llama");
  std::ifstream in(base.path / "model.safetensors", std::ios::binary);
  const std::string file((std::istreambuf_iterator<char>(in)), {});
  std::uint64_t size = 0;
  std::memcpy(&size, file.data(), sizeof size);
  std::string header = file.substr(8, size);
  for (std::size_t at = 0; (at = header.find("\"model.", at)) != std::string::npos;) header.erase(at + 1, 6);
  header.resize(size, ' ');
  std::ofstream(base.path / "model.safetensors", std::ios::binary)
      << file.substr(0, 8) << header << file.substr(8 + size);
  std::ifstream config_file(base.path / "config.json");
  Json config = Json::parse(config_file);
  config["architectures"] = {"LlamaModel"};
  std::ofstream(base.path / "config.json") << config;
  fs::create_directory(base.path / "1_Pooling");
  std::ofstream(base.path / "1_Pooling/config.json") << R"({"pooling_mode": "lasttoken"})";
  std::ofstream(base.path / "modules.json")
      << R"([{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": "1_Pooling"}])";
  EXPECT_EQ(check_model(read_model_folder(base.path.string())).kinds, std::vector<std::string>{"embedding"});
  const auto answers = Open(base.path.string()).run(requests);
  // The same shard, build and machine: the same bytes.
  for (std::size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(vector_of(answers[i]), vector_of(expected[i]));
}

TEST(Embedding, a_vector_that_is_no_number_fails_its_request) {
  const Changed broken;
  std::fstream file(broken.path / "model.safetensors", std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(-1000, std::ios::end);
  file << std::string(1000, '\xff');
  file.close();
  const auto answers = Open(broken.path.string()).run({embed("a")});
  EXPECT_NE(answers[0].error.find("not finite"), std::string::npos);
}

TEST(Embedding, counts_its_flops) {
  Open open("roberta");
  open.run({embed("abc"), embed("abcdef")});  // 5 and 8 tokens with the special ones
  const double layer = 2.0 * 32 * (4 * 32 + 2 * 48);
  EXPECT_EQ(open.module->computed().tokens, 13u);
  EXPECT_EQ(open.module->computed().flops, 2 * (13 * layer + 4.0 * 32 * (25 + 64)));
}

TEST(Embedding, refuses_by_name_what_it_would_compute_wrongly) {
  const Changed bert;
  EXPECT_EQ(bert.refusal("config.json", [](Json&) {}), "accepted");
  const auto has = [&](const char* file, const char* part, const std::function<void(Json&)>& edit) {
    const std::string why = bert.refusal(file, edit);
    EXPECT_NE(why.find(part), std::string::npos) << why;
  };
  has("config.json", "position_embedding_type", [](Json& c) { c["position_embedding_type"] = "relative_key"; });
  has("config.json", "hidden_act", [](Json& c) { c["hidden_act"] = "swish2"; });
  has("config.json", "num_attention_heads", [](Json& c) { c["num_attention_heads"] = 5; });
  has("config.json", "embeddings.position_embeddings.weight has shape",
      [](Json& c) { c["max_position_embeddings"] = 8; });
  has("config.json", "\"rotary\" is a key", [](Json& c) { c["rotary"] = true; });
  has("config.json", "architecture FunnelModel is not supported",
      [](Json& c) { c["architectures"] = {"FunnelModel"}; });
  has("1_Pooling/config.json", "beside pooling_mode", [](Json& c) { c["pooling_mode_mean_tokens"] = true; });
  has("1_Pooling/config.json", "median is not supported", [](Json& c) { c = {{"pooling_mode", "median"}}; });
  EXPECT_EQ(bert.refusal("1_Pooling/config.json",
                         [](Json& c) {
                           c = {{"pooling_mode", "cls"}};
                         }),
            "accepted")
      << "as sentence-transformers 5.7 saves it";
  has("1_Pooling/config.json", "beside pooling_mode", [](Json& c) { c.erase("pooling_mode_mean_tokens"); });
  const char* transformer = "sentence_bert_config.json";
  has(transformer, "max_seq_length is 12.5", [](Json& c) { c["max_seq_length"] = 12.5; });
  has(transformer, "padding_side = \"left\" is not supported", [](Json& c) {
    c["processing_kwargs"] = {{"text", {{"padding_side", "left"}}}};
  });
  has(transformer, "processing_kwargs for image are not supported", [](Json& c) {
    c["processing_kwargs"] = {{"image", {{"size", 224}}}};
  });
  has(transformer, "module_output_name = \"sentence_embedding\" is not supported",
      [](Json& c) { c["module_output_name"] = "sentence_embedding"; });
  has(transformer, "\"do_lowercase\" = true is a key that is not known", [](Json& c) { c["do_lowercase"] = true; });
  EXPECT_EQ(bert.refusal(transformer,
                         [](Json& c) {
                           c["processing_kwargs"] = {{"text", {{"truncation", true}, {"max_length", 5}}}};
                         }),
            "accepted")
      << "as sentence-transformers 5.7 writes it";
  has("1_Pooling/config.json", "\"scale\" = 2 is a key that is not known", [](Json& c) { c["scale"] = 2; });
  has("modules.json", "of a module are not supported", [](Json& c) { c[0]["kwargs"] = {"task"}; });
  has("config_sentence_transformers.json", "\"precision\" = \"int8\" is a key that is not known",
      [](Json& c) { c["precision"] = "int8"; });
  const char* own = "config_sentence_transformers.json";
  has(own, "truncate_dim", [](Json& c) { c["truncate_dim"] = 4; });
  has(own, "similarity_fn_name \"euclidean\"", [](Json& c) { c["similarity_fn_name"] = "euclidean"; });
  EXPECT_EQ(bert.refusal(own, [](Json& c) { c["similarity_fn_name"] = "dot"; }), "accepted")
      << "the cosine, of vectors of length 1";
  has(own, "is none of its prompts", [](Json& c) { c["default_prompt_name"] = "retrieval"; });
  has("modules.json", "models.LSTM", [](Json& c) { c[2]["type"] = "sentence_transformers.models.LSTM"; });
  has("modules.json", "2_Normalize/config.json", [](Json& c) { c[2]["type"] = "sentence_transformers.models.Dense"; });
}

TEST(CrossEncoder, follows_sentence_transformers_settings_or_refuses_them) {
  const Changed pairs("bert_pairs", "cross_encoder");
  const char* file = "sentence_bert_config.json";
  std::ofstream(pairs.path / file) << "{}";
  EXPECT_EQ(pairs.refusal(file, [](Json& c) { c["transformer_task"] = "sequence-classification"; }), "accepted");
  EXPECT_NE(pairs.refusal(file, [](Json& c) { c["transformer_task"] = "feature-extraction"; }).find("transformer_task"),
            std::string::npos);
  EXPECT_NE(pairs.refusal(file,
                          [](Json& c) {
                            c["processing_kwargs"] = {{"text", {{"padding_side", "left"}}}};
                          })
                .find("padding_side"),
            std::string::npos);
  std::ofstream(pairs.path / file) << Json{{"processing_kwargs", {{"text", {{"max_length", 7}}}}}};
  EXPECT_EQ(read_pair_tokens(pairs.path.string()), 7);
}

}  // namespace
}  // namespace proctor
