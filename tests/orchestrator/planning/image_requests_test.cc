// From a task's YAML to requests with images: where they stand, who may read them, what is refused.
#include "orchestrator/planning/image_requests.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "orchestrator/scoring/cell_score.h"
#include "orchestrator/scoring/results.h"
#include "orchestrator/suite/suite_file.h"
#include "sharding/protocol/error.h"
#include "tests/orchestrator/support/fake_facts.h"
#include "tests/orchestrator/support/tiny_image.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

/// A model that reads images: square ones of 28 pixels a token.
class VisionFakes final : public FactSource {
 public:
  ModelFacts check(const Module& module) override {
    ModelFacts facts = FakeFacts().check(module);
    facts.architecture = "Qwen2VLForConditionalGeneration";
    facts.max_length = max_length;
    facts.vision.max_length = max_length;
    facts.image_processor = "slow";
    if (!reads) return facts;
    facts.vision.cutting = VisionFacts::Cutting::grid;
    facts.vision.merge = 2;
    facts.vision.min_pixels = 28 * 28;
    facts.vision.max_pixels = 1 << 20;
    facts.vision.placeholder = facts.vision.token = "<|pad|>";
    facts.vision.before = "<|start|>";
    facts.vision.after = "<|end|>";
    facts.vision = prepared_so(facts.vision, module.image);
    return facts;
  }
  DeviceFacts probe() override {
    DeviceFacts device;
    device.image_decoders = decoders;
    return device;
  }
  bool reads = true;
  std::int64_t max_length = 64;
  std::string decoders = "turbo 2.1";
};

/// A template that writes a conversation's images by a mark.
class Renderer final : public ConversationRenderer {
 public:
  explicit Renderer(std::string mark) : mark_(std::move(mark)) {}
  ChatTemplate open(const std::string&, const Chat&) override { return {"template", std::nullopt}; }
  std::vector<std::string> render(std::span<const Messages> conversations) override {
    std::vector<std::string> texts;
    for (const Messages& one : conversations) {
      std::string text;
      for (const Message& message : one) {
        text += std::string("[") + to_string(message.role) + "]";
        for (const Part& part : parts_of(message.content, message.images))
          text += std::holds_alternative<Image>(part) ? mark_ : std::get<Text>(part);
      }
      texts.push_back(text + "[assistant]");
    }
    return texts;
  }
  std::size_t without_system() const override { return 0; }

 private:
  std::string mark_;
};

class ImageRequestsTest : public testing::Test {
 protected:
  ImageRequestsTest() {
    fs::create_directories(root_ / "data");
    std::ofstream(root_ / "data" / "a.png") << tiny_png(56, 28);
    std::ofstream(root_ / "data" / "b.png") << tiny_png(28, 28);
    rows(R"({"image": "a.png", "q": "What?", "a": "x", "gold": 0})");
  }
  ~ImageRequestsTest() override { fs::remove_all(root_); }
  void rows(const std::string& text) { std::ofstream(root_ / "data" / "rows.jsonl") << text; }
  Work prepared(const std::string& task, const std::string& module = "", Renderer* renderer = nullptr) {
    std::ofstream(root_ / "t.yaml") << "task: t\ndata: data/rows.jsonl\n" + task;
    fs::create_directories(root_ / "model");
    std::ofstream(root_ / "s.yaml") << "suite: s\nmodules:\n- {name: m, path: ./model" + module +
                                           "}\ntasks: [t.yaml]\n";
    return prepare_work(read_suite((root_ / "s.yaml").string(), {}).suite, 0, facts_, {renderer});
  }
  std::vector<Request> requests(const std::string& task, const std::string& module = "", Renderer* renderer = nullptr) {
    const Work work = prepared(task, module, renderer);
    return work.requests_of(ModuleId{0}, TaskId{0}).requests;
  }
  std::string refusal(const std::string& task, const std::string& module = "", Renderer* renderer = nullptr) {
    try {
      (void)prepared(task, module, renderer);
      return "accepted";
    } catch (const Error& error) {
      std::string text = to_string(error.fault()) + ": " + error.what();
      while (text.find(root_.string() + "/") != std::string::npos)
        text.erase(text.find(root_.string() + "/"), root_.string().size() + 1);
      return text;
    }
  }
  Image image(const std::string& name) { return ImageFiles({}).image((root_ / "data" / name).string(), false); }

  fs::path root_ = fs::temp_directory_path() / ("proctor-image-requests-" + std::to_string(::getpid()));
  VisionFakes facts_;
  const std::string generate_ = "type: generate_until\ntarget: \"{{a}}\"\nimages: \"{{image}}\"\n";
};

TEST_F(ImageRequestsTest, an_image_stands_in_front_between_what_its_family_writes_around_it) {
  const std::vector<Request> all = requests(generate_ + "prompt: \"{{q}}\"\n");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].parts, (std::vector<Part>{"<|start|>", image("a.png"), "<|end|>What?"}));
  EXPECT_EQ(std::get<Generate>(all[0].ask).on_long, OnLong::fail);
}

TEST_F(ImageRequestsTest, what_is_scored_is_the_last_part_and_a_text) {
  const std::string task = "type: multiple_choice\nchoices: [\"no\", \"yes\"]\nanswer: \"{{gold}}\"\n";
  const std::vector<Request> all = requests(task + "images: \"{{image}}\"\nprompt: \"{{q}}<image>\"\n");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].parts, (std::vector<Part>{"What?<|start|>", image("a.png"), "<|end|>", " yes"}));
  EXPECT_EQ(std::get<Loglikelihood>(all[1].ask).on_long, OnLong::fail);
}

TEST_F(ImageRequestsTest, rows_may_have_many_or_none_and_examples_bring_their_own) {
  rows(R"({"image": ["a.png", "b.png"], "q": "Two?", "a": "x"})"
       "\n"
       R"({"image": null, "q": "None?", "a": "y"})");
  const std::vector<Request> all =
      requests(generate_ + "prompt: \"{{q}}\"\nfewshot: {count: 1, sampler: first_n}\n", ", max_length: 64");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].parts, (std::vector<Part>{"None? y\n\n<|start|>", image("a.png"), "<|end|><|start|>", image("b.png"),
                                             "<|end|>Two?"}));
  EXPECT_EQ(all[1].parts, (std::vector<Part>{"<|start|>", image("a.png"), "<|end|><|start|>", image("b.png"),
                                             "<|end|>Two? x\n\nNone?"}));
}

TEST_F(ImageRequestsTest, images_may_be_several_columns) {
  rows(R"({"one": "a.png", "two": "b.png", "three": null, "q": "<image 2> or <image 1>?", "a": "x"})");
  const std::vector<Request> all = requests(
      "type: generate_until\ntarget: \"{{a}}\"\nimages: [\"{{one}}\", \"{{two}}\", \"{{three}}\"]\nprompt: "
      "\"{{q}}\"\n");
  EXPECT_EQ(all[0].parts,
            (std::vector<Part>{"<|start|>", image("b.png"), "<|end|> or <|start|>", image("a.png"), "<|end|>?"}));
}

TEST_F(ImageRequestsTest, a_chat_template_writes_the_placeholders_itself) {
  Renderer renderer("(<|pad|>)");
  const std::vector<Request> all =
      requests(generate_ + "prompt: \"See <image>: {{q}}\"\n", ", chat_template: true", &renderer);
  EXPECT_EQ(all[0].parts, (std::vector<Part>{"[user]See (", image("a.png"), "): What?[assistant]"}));
}

TEST_F(ImageRequestsTest, a_template_that_leaves_images_out_is_refused_by_name) {
  Renderer deaf("");
  EXPECT_EQ(refusal(generate_ + "prompt: \"{{q}}\"\n", ", chat_template: true", &deaf),
            "input: data/rows.jsonl:1: the chat template of model writes '<|pad|>' 0 times for 1 image; name one that "
            "writes images by chat_template, or leave chat_template out");
}

TEST_F(ImageRequestsTest, rows_that_are_requests_have_images_by_the_same_rules) {
  rows(R"({"type": "loglikelihood", "context": "<image>It is", "continuation": " a", "images": ["b.png"]})"
       "\n"
       R"({"type": "generate_until", "context": "Plain <image>."})");
  const std::vector<Request> all = requests("type: requests\n");
  EXPECT_EQ(all[0].parts, (std::vector<Part>{"<|start|>", image("b.png"), "<|end|>It is", " a"}));
  EXPECT_EQ(std::get<Loglikelihood>(all[0].ask).on_long, OnLong::fail);
  EXPECT_EQ(all[1].parts, (std::vector<Part>{"Plain <image>."})) << "a row without images has no marks";
  EXPECT_EQ(std::get<Generate>(all[1].ask).on_long, OnLong::truncate);
}

TEST_F(ImageRequestsTest, what_is_wrong_is_said_before_anything_starts) {
  const std::string task = generate_ + "prompt: \"{{q}}\"\n";
  rows(R"({"image": "c.png", "q": "", "a": "x"})");
  EXPECT_NE(refusal(task).find("input: data/rows.jsonl:1: image data/c.png: is not there"), std::string::npos);
  rows(R"({"image": "a.png", "q": "<image 2>", "a": "x"})");
  EXPECT_NE(refusal(task).find("rows.jsonl:1: the prompt has <image 2>, and the row has 1 image"), std::string::npos);
  rows(R"({"image": "a.png", "q": "<|pad|>", "a": "x"})");
  EXPECT_NE(refusal(task).find("rows.jsonl:1: the prompt's text holds '<|pad|>'"), std::string::npos);
  rows(R"({"image": "a.png", "q": "q", "a": "x"})");
  facts_.max_length = 1;
  EXPECT_NE(refusal(task).find("rows.jsonl:1: its 1 image alone comes to"), std::string::npos);
  EXPECT_NE(refusal(task).find("lower image.max_pixels, or raise max_length"), std::string::npos);
  facts_.reads = false;
  EXPECT_EQ(refusal(task),
            "input: module m: Qwen2VLForConditionalGeneration (model) reads no images, and task t asks with them "
            "(data/rows.jsonl:1); give it a model that does, or name its tasks without this one (modules: tasks)");
}

TEST_F(ImageRequestsTest, keys_that_would_do_nothing_or_cut_an_image_are_refused) {
  const std::string task = generate_ + "prompt: \"{{q}}\"\n";
  EXPECT_NE(refusal(task + "on_long: truncate\n").find("on_long: what is cut off could be an image"),
            std::string::npos);
  EXPECT_NE(refusal(task + "image: {processor: quick}\n").find("processor: expected auto, slow or fast, found 'quick'"),
            std::string::npos);
  EXPECT_NE(refusal(task + "image: {max_pixel: 1}\n").find("did you mean 'max_pixels'"), std::string::npos);
  EXPECT_NE(refusal(task, ", image: {min_pixels: 9, max_pixels: 8}").find("min_pixels: is more than max_pixels, 8"),
            std::string::npos);
  facts_.reads = false;
  EXPECT_EQ(
      refusal("type: generate_until\ntarget: a\nprompt: \"{{q}}\"\n", ", image: {upright: true}"),
      "usage: module m: image does nothing: Qwen2VLForConditionalGeneration (model) reads no images; leave it out");
  facts_.reads = true;
  EXPECT_NE(refusal("type: generate_until\ntarget: a\nprompt: \"{{q}}\"\nimage: {upright: true}\n")
                .find("image: does nothing without `images`"),
            std::string::npos);
  EXPECT_NE(refusal(task, ", image: {min_pixels: 2000000}").find("min_pixels 2000000 is more than max_pixels, 1048576"),
            std::string::npos);
}

TEST_F(ImageRequestsTest, identity_is_of_the_bytes_and_how_they_are_prepared_and_not_of_where_they_lie) {
  const std::string task = generate_ + "prompt: \"{{q}}\"\n";
  const auto fingerprint = [&](const std::string& more = "", const std::string& module = "") {
    return prepared(task + more, module).cells[0].fingerprint;
  };
  const std::string same = fingerprint();
  fs::copy(root_ / "data" / "a.png", root_ / "data" / "copy.png");
  rows(R"({"image": "copy.png", "q": "What?", "a": "x"})");
  EXPECT_EQ(fingerprint(), same);
  EXPECT_EQ(fingerprint("image: {processor: slow}\n"), same) << "what auto is";
  EXPECT_NE(fingerprint("image: {processor: fast}\n"), same);
  EXPECT_NE(fingerprint("image: {max_pixels: 10000}\n"), same);
  EXPECT_EQ(fingerprint("image: {max_pixels: 1048576}\n", ", image: {max_pixels: 10000}"), same) << "the task's wins";
  EXPECT_NE(fingerprint("image: {upright: true}\n"), same);
  rows(R"({"image": "b.png", "q": "What?", "a": "x"})");
  EXPECT_NE(fingerprint(), same);
  rows(R"({"image": "a.png", "q": "What?", "a": "x"})");
  facts_.decoders = "turbo 3.0";
  EXPECT_NE(fingerprint(), same);
}

TEST_F(ImageRequestsTest, a_sample_line_shows_where_images_stand_and_results_how_they_were_prepared) {
  const Work work = prepared(generate_ + "prompt: \"Here <image> {{q}}\"\nimage: {max_pixels: 10000}\n");
  const CellRequests& cell = work.requests_of(ModuleId{0}, TaskId{0});
  const CellScore score = score_cell(work.templates[0], cell, std::vector<Response>{{GenerateAnswer{"x"}, ""}}, {});
  const auto line = nlohmann::json::parse(score.samples);
  EXPECT_EQ(line["arguments"]["gen_args_0"]["arg_0"], "Here <|start|><image><|end|> What?");
  EXPECT_EQ(line["arguments"]["gen_args_0"]["arg_1"]["max_gen_toks"], 256);
  EXPECT_EQ(line["images"][0]["hash"], image("a.png").hash);
  EXPECT_EQ(line["images"][0]["width"], 56);
  const auto results = module_results(work, ModuleId{0}, {{0, score}}, 0);
  EXPECT_EQ(results["images"]["t"]["images"], 1);
  EXPECT_EQ(results["images"]["t"]["processor"], "slow");
  EXPECT_EQ(results["images"]["t"]["max_pixels"], 10000);
  EXPECT_EQ(results["images"]["t"]["decoders"], "turbo 2.1");
  EXPECT_GT(results["images"]["t"]["mean_tokens"], 0);
  EXPECT_EQ(results["configs"]["t"]["doc_to_visual"], "{{image}}");
}

}  // namespace
}  // namespace proctor
