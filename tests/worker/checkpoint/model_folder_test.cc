#include "worker/checkpoint/model_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "sharding/protocol/error.h"
#include "worker/checkpoint/families.h"
#include "worker/checkpoint/folder_hash.h"
#include "worker/checkpoint/safetensors.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// A copy of a tiny model whose config.json (or another file) was changed.
class Folder {
 public:
  explicit Folder(const std::string& model) {
    fs::remove_all(path_);
    fs::copy(fs::path(PROCTOR_TINY_MODELS) / model, path_, fs::copy_options::recursive);
  }
  ~Folder() { fs::remove_all(path_); }
  Folder& change(const std::string& file, const std::function<void(Json&)>& edit) {
    std::ifstream in(path_ / file);
    Json json = Json::parse(in);
    edit(json);
    std::ofstream(path_ / file) << json.dump();
    return *this;
  }
  std::string refusal() const {
    try {
      check_model(read_model_folder(path_.string()));
    } catch (const InputError& error) {
      return error.what();
    }
    return "accepted";
  }
  fs::path path() const { return path_; }

 private:
  fs::path path_ = fs::temp_directory_path() / ("proctor-folder-" + std::to_string(::getpid()));
};

void expect(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(ModelFolder, reads_every_family) {
  for (const auto& entry : fs::directory_iterator(PROCTOR_TINY_MODELS))
    EXPECT_EQ(Folder(entry.path().filename()).refusal(), "accepted") << entry.path();
  const ModelFacts facts = check_model(read_model_folder((fs::path(PROCTOR_TINY_MODELS) / "llama").string()));
  EXPECT_EQ(facts.max_length, 64);
  EXPECT_EQ(facts.vocabulary, 258u);
}

TEST(ModelFolder, an_absent_key_means_the_transformers_default) {
  const auto windows = [](const std::string& model, const std::function<void(Json&)>& edit) {
    Folder folder(model);
    folder.change("config.json", edit);
    return read_model_folder(folder.path().string()).decoder.windows;
  };
  EXPECT_EQ(windows("mistral_window", [](Json& c) { c.erase("sliding_window"); }),
            (std::vector<std::int64_t>{4096, 4096}));
  EXPECT_EQ(windows("mistral_window", [](Json& c) { c["sliding_window"] = nullptr; }),
            (std::vector<std::int64_t>{0, 0}));
  EXPECT_EQ(windows("qwen2_window", [](Json&) {}), (std::vector<std::int64_t>{0, 4}));
  EXPECT_EQ(windows("qwen2_window",
                    [](Json& c) {
                      c["layer_types"] = {"sliding_attention", "full_attention"};
                    }),
            (std::vector<std::int64_t>{4, 0}));
  EXPECT_EQ(windows("qwen2_window", [](Json& c) { c.erase("use_sliding_window"); }), (std::vector<std::int64_t>{0, 0}));
}

TEST(ModelFolder, reads_the_rope_of_transformers_5) {
  Folder folder("llama");
  folder.change("config.json", [](Json& c) {
    c.erase("rope_theta"), c["rope_parameters"] = {{"rope_type", "linear"}, {"factor", 4.0}, {"rope_theta", 5e5}};
  });
  const DecoderConfig config = read_model_folder(folder.path().string()).decoder;
  EXPECT_EQ(config.ropes.at(0).theta, 5e5);
  EXPECT_EQ(config.ropes.at(0).factor, 4.0);
}

/// Everything within rope_scaling decides numbers.
TEST(ModelFolder, what_a_rope_object_says_is_understood_or_refused) {
  const auto with = [](const Json& value) {
    return Folder("llama").change("config.json", [&](Json& c) { c["rope_scaling"] = value; }).refusal();
  };
  expect(with({{"factor", 4.0}}), "has neither rope_type nor type");
  expect(with({{"full_attention", {{"rope_type", "linear"}, {"factor", 2.0}}}}), "gives each kind of layer its own");
  expect(with({{"rope_type", "linear"}}), "has no factor");
  expect(with({{"rope_type", "linear"}, {"factor", -1}}), "has factor -1, which is no such number");
  expect(with({{"rope_type", "linear"}, {"factor", 2.0}, {"beta_fast", 32}}), "has the key 'beta_fast'");
  expect(with({{"rope_type", "default"}, {"mrope_section", {1, 2}}}),
         "has an mrope_section, which this family does not read");
  expect(with({{"rope_type", 3}}), "that is no text");
  expect(with("linear"), "is no object");
  expect(with({{"rope_type", "llama3"},
               {"factor", 8.0},
               {"low_freq_factor", 4.0},
               {"high_freq_factor", 1.0},
               {"original_max_position_embeddings", 64}}),
         "high_freq_factor that is not above");
  EXPECT_EQ(with({{"rope_type", "default"}}), "accepted");
  EXPECT_EQ(with({{"type", "linear"}, {"rope_type", "linear"}, {"factor", 2.0}}), "accepted");
  expect(with({{"type", "linear"}, {"rope_type", "default"}, {"factor", 2.0}}),
         "has a type \"linear\" and a rope_type \"default\"");
}

TEST(ModelFolder, numbers_have_a_type_and_a_range) {
  const auto with = [](const std::string& file, const std::string& key, const Json& value) {
    return Folder("llama").change(file, [&](Json& c) { c[key] = value; }).refusal();
  };
  expect(with("config.json", "num_hidden_layers", 2.5), "\"num_hidden_layers\" has the wrong type: 2.5");
  expect(with("config.json", "tie_word_embeddings", 1), "has the wrong type: 1");
  expect(with("config.json", "rms_norm_eps", 1e300), "is not above 0 and below 1.0");
  expect(with("config.json", "rope_theta", -1), "is not above 0 and below");
  expect(with("config.json", "torch_dtype", "float8_e4m3fn"), "(float32, bfloat16 and float16 are computed)");
  for (const Json& id : {Json(4294967298), Json(-1), Json(1.5), Json("2"), Json({1, 1LL << 40})})
    expect(with("generation_config.json", "eos_token_id", id), "which is no token id");
  expect(with("generation_config.json", "repetition_penalty", -2), "which is no number above 0");
  expect(with("generation_config.json", "max_new_tokens", 1.5), "which is no number of tokens");
}

TEST(ModelFolder, what_nothing_reads_and_a_head_that_differs_are_noted) {
  const auto notes = [](const Folder& folder) { return check_model(read_model_folder(folder.path().string())).notes; };
  EXPECT_TRUE(notes(Folder("llama")).empty());
  Folder tied("llama");
  tied.change("config.json", [](Json& c) { c["tie_word_embeddings"] = true; });
  ASSERT_EQ(notes(tied).size(), 1u);
  expect(notes(tied)[0], "lm_head.weight is not the embedding");
  Folder fewer("llama");
  fewer.change("config.json", [](Json& c) { c["num_hidden_layers"] = 1; });
  ASSERT_EQ(notes(fewer).size(), 1u);
  expect(notes(fewer)[0], "nothing reads 9 of its tensors (model.layers.1.input_layernorm.weight, ");
}

TEST(ModelFolder, refuses_what_it_would_miscompute_by_name) {
  const auto with = [](const std::string& key, const Json& value) {
    return Folder("llama").change("config.json", [&](Json& c) { c[key] = value; }).refusal();
  };
  expect(with("logit_scale", 0.5), "\"logit_scale\" is a key this architecture's reader does not know");
  expect(with("quantization_config", {{"bits", 4}}), "quantised");
  expect(with("hidden_act", "mish"), "\"hidden_act\" is 'mish', which is not implemented");
  expect(with("rope_scaling", {{"type", "spiral"}, {"factor", 2.0}}), "asks for 'spiral'");
  expect(with("rope_scaling", {{"type", "yarn"}, {"factor", 2.0}, {"llama_4_scaling_beta", 0.1}}),
         "llama_4_scaling_beta, which this family does not read");
  expect(with("architectures", {"LlamaForCausalML"}),
         "architecture LlamaForCausalML is not supported; the nearest name is LlamaForCausalLM");
  expect(with("hidden_size", "wide"), "\"hidden_size\" has the wrong type");
  expect(with("num_key_value_heads", 3), "does not divide");
  expect(with("hidden_size", 40), "config.json asks for");
  expect(with("num_hidden_layers", 1000000000000), "which is no number of layers");
  expect(with("num_hidden_layers", 3), "tensor model.layers.2.self_attn.q_proj.weight is missing");
}

TEST(ModelFolder, old_keys_that_decide_nothing_are_no_reason_to_refuse) {
  for (const char* model : {"roberta_pairs", "t5", "bert"})
    EXPECT_EQ(Folder(model)
                  .change("config.json", [](Json& c) { c["output_past"] = true, c["gradient_checkpointing"] = false; })
                  .refusal(),
              "accepted")
        << model;
}

TEST(ModelFolder, sizes_that_no_network_has_are_refused) {
  const auto with = [](const std::string& model, const std::string& key, const Json& value) {
    return Folder(model).change("config.json", [&](Json& c) { c[key] = value; }).refusal();
  };
  expect(with("bert", "num_hidden_layers", 16000000), "which is no number of layers");
  expect(with("t5", "num_decoder_layers", 16000000), "which is no number of layers");
  expect(with("t5", "num_decoder_layers", 0), "which is no number of layers");
  expect(with("t5", "relative_attention_num_buckets", 1), "is below 4");
  expect(with("roberta", "pad_token_id", -5), "\"pad_token_id\" is below 0");
}

TEST(ModelFolder, refuses_generation_settings_that_change_text) {
  expect(Folder("llama").change("generation_config.json", [](Json& c) { c["no_repeat_ngram_size"] = 3; }).refusal(),
         "no_repeat_ngram_size");
  Folder folder("llama");
  folder.change("generation_config.json", [](Json& c) { c["repetition_penalty"] = 1.1, c["eos_token_id"] = {257, 3}; });
  const GenerationDefaults defaults = read_model_folder(folder.path().string()).generation;
  EXPECT_EQ(defaults.eos_ids, (Tokens{257, 3}));
  EXPECT_EQ(defaults.repetition_penalty, 1.1);
}

TEST(ModelFolder, odd_files_are_refused_not_crashed_on) {
  expect(Folder("llama")
             .change("tokenizer_config.json",
                     [](Json& c) {
                       c["bos_token"] = {{"content", 3}};
                     })
             .refusal(),
         "not as expected");
  Folder deep("llama");
  std::ofstream(deep.path() / "config.json") << std::string(100000, '[') << std::string(100000, ']');
  expect(deep.refusal(), "nested deeper than 64");
}

TEST(ModelFolder, without_a_dtype_key_the_weights_own_counts) {
  Folder folder("llama");
  folder.change("config.json", [](Json& c) { c.erase("torch_dtype"); });
  EXPECT_EQ(read_model_folder(folder.path().string()).checkpoint_dtype, "float32");
}

TEST(ModelFolder, its_hash_changes_with_the_weights_and_the_tokenizer) {
  const auto hash = [](const Folder& folder) {
    return check_model(read_model_folder(folder.path().string())).model_hash;
  };
  const std::string before = hash(Folder("llama"));
  EXPECT_EQ(before, hash(Folder("llama")));
  EXPECT_NE(before, hash(Folder("llama").change("tokenizer_config.json",
                                                [](Json& c) { c["clean_up_tokenization_spaces"] = true; })));
  Folder folder("llama");
  std::fstream weights(folder.path() / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
  weights.seekp(-4, std::ios::end);
  weights.write("abcd", 4);
  weights.close();
  EXPECT_NE(before, hash(folder)) << "whichever byte it is";
  Folder pooled("llama");
  fs::create_directories(pooled.path() / "2_Pooling");
  std::ofstream(pooled.path() / "2_Pooling/config.json") << "{}";
  EXPECT_NE(before, hash(pooled));
}

TEST(ModelFolder, what_nodes_compare_tells_versions_apart) {
  const auto hash = [](const Folder& folder) {
    const std::string path = folder.path().string();
    return folder_hash(path, Checkpoint(path), HashOf::beginnings);
  };
  const std::string before = hash(Folder("llama"));
  EXPECT_EQ(before, hash(Folder("llama")));
  EXPECT_EQ(before, check_model(read_model_folder(Folder("llama").path().string())).folder_hash);
  EXPECT_NE(before, hash(Folder("llama").change("config.json", [](Json& c) { c["rms_norm_eps"] = 1e-3; })));
  Folder folder("llama");
  const std::string weights = (folder.path() / "model.safetensors").string();
  const std::uint64_t begin = SafetensorsFile(weights).tensors().begin()->second.begin;
  std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(begin));
  file.write("abcd", 4);
  file.close();
  EXPECT_NE(before, hash(folder));
}

TEST(Families, fused_weights_cover_their_parameters_exactly) {
  DecoderConfig config;
  config.layers = 1;
  config.windows = {0};
  std::int64_t rows = 0;
  for (const WeightSource& source : decoder_weight_sources(config))
    if (source.parameter == "layers.0.qkv") {
      EXPECT_EQ(source.row, rows);
      rows += source.shape[0];
    }
  for (const ParameterShape& parameter : decoder_parameters(config))
    if (parameter.name == "layers.0.qkv") {
      EXPECT_EQ(parameter.shape[0], rows);
    }
  EXPECT_EQ(rows, 3 * 4096);
}

}  // namespace
}  // namespace proctor
