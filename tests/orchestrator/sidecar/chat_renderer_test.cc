// Conversations by the real sidecar: what a template may do, and what it may not.
#include "orchestrator/sidecar/chat_renderer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Role = Message::Role;

class ChatRendererTest : public testing::Test {
 protected:
  ChatRendererTest() { fs::create_directories(root_ / "additional_chat_templates"); }
  ~ChatRendererTest() override { fs::remove_all(root_); }
  void write(const std::string& name, const std::string& text) { std::ofstream(root_ / name) << text; }
  std::string rendered(const std::string& text, const Messages& messages = {{Role::user, "hi"}},
                       const Chat& chat = {}) {
    write("chat_template.jinja", text);
    LazySidecar sidecar("");
    ChatRenderer renderer(sidecar);
    (void)renderer.open(root_.string(), chat);
    return renderer.render({&messages, 1}).at(0);
  }
  std::string refusal(const std::string& text) {
    try {
      return "rendered: " + rendered(text);
    } catch (const InputError& error) {
      return error.what();
    }
  }
  fs::path root_ = fs::temp_directory_path() / ("proctor-chat-" + std::to_string(::getpid()));
};

constexpr const char* kTemplate =
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}</>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}";

TEST_F(ChatRendererTest, a_question_ends_with_the_beginning_of_an_answer) {
  write("tokenizer_config.json", R"({"bos_token": {"content": "<s>"}, "chat_template": "not this"})");
  EXPECT_EQ(rendered(kTemplate, {{Role::system, "s"}, {Role::user, "\u00e9 <b>"}}),
            "<s><system>s</><user>\u00e9 <b></><assistant>");
  EXPECT_EQ(rendered(kTemplate, {{Role::user, "q"}, {Role::assistant, "So "}}), "<s><user>q</><assistant>So ")
      << "one that has begun is left open";
}

TEST_F(ChatRendererTest, a_message_with_images_is_a_list_of_parts_and_the_others_are_texts) {
  const Image image{"hash", "/a.png", 1, 2};
  const Messages messages = {{Role::system, "s"}, {Role::user, "is this?", "", {{0, image}, {3, image}}}};
  EXPECT_EQ(rendered("{% for m in messages %}{{ m.content | tojson }}{% endfor %}", messages),
            R"("s"[{"type": "image"}, {"type": "text", "text": "is "}, {"type": "image"}, )"
            R"({"type": "text", "text": "this?"}])");
}

TEST_F(ChatRendererTest, a_template_that_writes_lists_alone_is_given_lists_alone) {
  constexpr const char* kLists =
      "{% for m in messages %}{{ m.role }}:{% for c in m.content | selectattr('type', 'equalto', 'image') %}[I]"
      "{% endfor %}{% for c in m.content | selectattr('type', 'equalto', 'text') %}{{ c.text }}{% endfor %}|{% endfor "
      "%}";
  const Messages messages = {{Role::system, "s"}, {Role::user, "q", "", {{1, {"hash", "/a.png", 1, 2}}}}};
  EXPECT_EQ(rendered(kLists, messages), "system:s|user:[I]q|");
  EXPECT_EQ(rendered(kLists, {{Role::user, "q"}, {Role::assistant, "So "}}), "user:q|assistant:So ");
  fs::remove(root_ / "chat_template.jinja");
  write("chat_template.json", R"({"chat_template": "of the processor: {{ messages[0].content }}"})");
  LazySidecar sidecar("");
  ChatRenderer renderer(sidecar);
  EXPECT_EQ(renderer.open(root_.string(), {}).text, "of the processor: {{ messages[0].content }}");
}

TEST_F(ChatRendererTest, templates_have_names_and_variables) {
  write("tokenizer_config.json",
        R"({"chat_template": [{"name": "default", "template": "D"}, {"name": "tool", "template": "T"}]})");
  write("additional_chat_templates/short.jinja", "S{{ level }}{{ strftime_now('%d %b %Y') }}");
  const auto by = [&](const std::string& name) {
    LazySidecar sidecar("");
    ChatRenderer renderer(sidecar);
    Chat chat;
    if (!name.empty()) chat.chosen = name;
    chat.kwargs = nlohmann::ordered_json::object({{"level", 3}});
    chat.date = "2026-01-31";
    (void)renderer.open(root_.string(), chat);
    const Messages one = {{Role::user, "hi"}};
    return renderer.render({&one, 1}).at(0);
  };
  EXPECT_EQ(by(""), "D");
  EXPECT_EQ(by("tool"), "T");
  EXPECT_EQ(by("short"), "S331 Jan 2026");
  EXPECT_THROW(by("long"), InputError);
}

TEST_F(ChatRendererTest, a_template_that_refuses_a_system_message_goes_without) {
  write("chat_template.jinja",
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ messages[0].content }}");
  LazySidecar sidecar("");
  ChatRenderer renderer(sidecar);
  (void)renderer.open(root_.string(), {});
  const std::vector<Messages> two = {{{Role::system, "s"}, {Role::user, "a"}}, {{Role::user, "b"}}};
  EXPECT_EQ(renderer.render(two), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(renderer.without_system(), 1u);
}

TEST_F(ChatRendererTest, what_a_template_may_not_do_is_an_error_by_name) {
  EXPECT_NE(refusal("{% for %}").find("TemplateSyntaxError"), std::string::npos);
  EXPECT_NE(refusal("{{ raise_exception('x y') }}").find("TemplateError: x y"), std::string::npos);
  EXPECT_NE(refusal("{{ ''.__class__.__mro__ }}").find("SecurityError"), std::string::npos);
  EXPECT_NE(refusal("{{ cycler.__init__.__globals__.os.system('true') }}").find("SecurityError"), std::string::npos);
  EXPECT_NE(refusal("{{ messages.append(1) }}").find("SecurityError"), std::string::npos) << "immutable";
  EXPECT_NE(refusal("{{ __import__('os') }}").find("UndefinedError"), std::string::npos);
  EXPECT_NE(refusal("{{ 1 / 0 }}").find("ZeroDivisionError"), std::string::npos);
  EXPECT_NE(refusal("{{ 'x' * 4000000000 }}").find("needs more than 2 GiB"), std::string::npos);
  EXPECT_NE(refusal("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}").find("calls itself without end"),
            std::string::npos);
  EXPECT_NE(refusal("{{ messages[0].content }").find(root_.string()), std::string::npos) << "names the folder";
}

TEST_F(ChatRendererTest, a_folder_without_a_template_and_a_python_without_jinja_say_so) {
  LazySidecar sidecar("");
  ChatRenderer renderer(sidecar);
  EXPECT_THROW((void)renderer.open(root_.string(), {}), InputError);
  LazySidecar missing("/nowhere/python");
  ChatRenderer nowhere(missing);
  try {
    (void)nowhere.open(root_.string(), {});
    ADD_FAILURE();
  } catch (const EnvironmentError& error) {
    EXPECT_NE(std::string(error.what()).find("/nowhere/python: cannot be started"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("machine.python"), std::string::npos);
  }
}

TEST_F(ChatRendererTest, one_that_never_ends_is_ended_at_its_deadline) {
  write("chat_template.jinja", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}");
  Sidecar sidecar(find_python(""), "template");
  (void)sidecar.ask({{"open", root_.string()}}, "template", std::chrono::seconds(60));
  const nlohmann::ordered_json request = {{"render", {{{"messages", nlohmann::ordered_json::array()}}}}};
  try {
    (void)sidecar.ask(request, "template", std::chrono::milliseconds(50));
    ADD_FAILURE();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("template: gave nothing for 0.05 s"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace proctor
