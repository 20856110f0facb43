#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "orchestrator/planning/fewshot.h"
#include "orchestrator/scoring/cell_score.h"
#include "orchestrator/task_types/generation.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

Document row(const nlohmann::ordered_json& json, std::size_t line = 1) { return {json, "d.jsonl", line}; }

Task choice_task() {
  Task task;
  task.name = "t";
  task.type = "multiple_choice";
  task.prompt = "Q: {{q}}\nA:";
  task.choices = TemplateList("{{c}}");
  task.answer = "{{gold}}";
  task.metrics = {{"acc", {}}, {"acc_norm", {}}, {"acc_bytes", {}}, {"exact_match", {}}};
  return task;
}
Response answer(double sum, bool greedy = false) { return {LoglikelihoodAnswer{sum, greedy, 1, 0}, ""}; }

TEST(MultipleChoice, one_request_a_choice_with_the_delimiter_in_the_continuation) {
  const Task task = choice_task();
  const auto compiled = compile(task);
  const auto requests =
      multiple_choice().requests(compiled, row({{"q", "x"}, {"c", {"a", "b"}}, {"gold", 1}}), {{{"Q: x\nA:"}}, " "});
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[1].parts, (std::vector<Part>{"Q: x\nA:", " b"}));
}

TEST(MultipleChoice, one_value_is_no_list_of_choices) {
  const Task task = choice_task();
  const auto compiled = compile(task);
  for (const char* choices : {R"("ab")", R"({"text": ["a", "b"]})"}) {
    const auto value = nlohmann::ordered_json::parse(choices);
    EXPECT_THROW(multiple_choice().requests(compiled, row({{"q", "x"}, {"c", value}, {"gold", 0}}), {{{""}}, " "}),
                 InputError);
  }
}

TEST(MultipleChoice, scores_raw_per_code_point_and_per_byte) {
  const Task task = choice_task();
  const auto compiled = compile(task);
  const Document document = row({{"q", "x"}, {"c", {"aaaa", "é"}}, {"gold", "1"}});
  const std::vector<Response> responses = {answer(-4.0), answer(-1.5, true)};
  const MetricValues values = multiple_choice().score(compiled, document, responses, {});
  EXPECT_EQ(values.at("acc").value, 1.0);
  EXPECT_EQ(values.at("acc_norm").value, 0.0) << "-1.0 a character beats -1.5";
  EXPECT_EQ(values.at("acc_bytes").value, 1.0) << "-0.75 a byte beats -1.0";
  EXPECT_EQ(values.at("exact_match").value, 1.0);
}

TEST(MultipleChoice, the_first_of_equal_choices_wins) {
  const Task task = choice_task();
  const auto compiled = compile(task);
  EXPECT_EQ(multiple_choice()
                .score(compiled, row({{"q", "x"}, {"c", {"a", "b"}}, {"gold", 0}}),
                       std::vector<Response>{answer(-1), answer(-1)}, {})
                .at("acc")
                .value,
            1.0);
}

TEST(MultipleChoice, an_answer_is_an_index_digits_a_text_or_a_list_and_nothing_else) {
  const Task task = choice_task();
  const auto compiled = compile(task);
  const auto acc = [&](const nlohmann::ordered_json& gold) {
    return multiple_choice()
        .score(compiled, row({{"q", "x"}, {"c", {"0", "7"}}, {"gold", gold}}, 3),
               std::vector<Response>{answer(-2), answer(-1)}, {})
        .at("acc")
        .value;
  };
  EXPECT_EQ(acc(1), 1.0);
  EXPECT_EQ(acc("1"), 1.0) << "digits are an index first";
  EXPECT_EQ(acc("7"), 1.0);
  EXPECT_EQ(acc({0, 1}), 1.0);
  for (const nlohmann::ordered_json& wrong :
       {nlohmann::ordered_json(2), nlohmann::ordered_json("x"), nlohmann::ordered_json(-1)})
    try {
      acc(wrong);
      ADD_FAILURE() << wrong;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("d.jsonl:3: answer"), std::string::npos);
    }
}

TEST(MultipleChoice, digits_that_are_an_index_and_another_choice_are_refused) {
  const Task task = choice_task();
  const auto compiled = compile(task);
  const auto gold = [&](const nlohmann::ordered_json& answer) {
    return multiple_choice().example_answer(compiled,
                                            row({{"q", "x"}, {"c", {"1", "2", "3", "4"}}, {"gold", answer}}, 3));
  };
  EXPECT_EQ(gold(2), "3") << "a number is an index";
  EXPECT_EQ(gold("4"), "4") << "no index, so a text";
  try {
    gold("2");
    ADD_FAILURE();
  } catch (const InputError& error) {
    EXPECT_NE(
        std::string(error.what()).find("d.jsonl:3: answer \"2\" is the text of choice 1 and the place of choice 2"),
        std::string::npos)
        << error.what();
  }
}

TEST(MultipleChoice, an_answer_may_be_a_letter_or_a_truth) {
  const Task task = choice_task();
  const auto compiled = compile(task);
  const auto gold = [&](const nlohmann::ordered_json& choices, const nlohmann::ordered_json& answer) {
    return multiple_choice().example_answer(compiled, row({{"q", "x"}, {"c", choices}, {"gold", answer}}, 3));
  };
  EXPECT_EQ(gold({"red", "green", "blue"}, "B"), "green");
  EXPECT_EQ(gold({"red", "green", "blue"}, "c"), "blue");
  EXPECT_EQ(gold({"A", "B", "C"}, "C"), "C") << "the letter is the text";
  EXPECT_THROW(gold({"red", "green"}, "C"), InputError);
  EXPECT_THROW(gold({"red", "green"}, "É"), InputError);
  EXPECT_THROW(gold({"B", "A"}, "A"), InputError) << "a text and another's letter";
  EXPECT_EQ(gold({"yes", "no"}, true), "yes");
  EXPECT_EQ(gold({"no", "yes"}, true), "yes");
  EXPECT_EQ(gold({" True", "False "}, false), "False ");
  EXPECT_THROW(gold({"right", "wrong"}, true), InputError);
  EXPECT_THROW(gold({"yes", "true"}, true), InputError) << "two of them";
}

TEST(MultipleChoice, an_answer_may_be_a_label) {
  Task task = choice_task();
  task.labels = TemplateList("{{labels}}");
  const auto compiled = compile(task);
  const auto gold = [&](const nlohmann::ordered_json& labels, const nlohmann::ordered_json& answer) {
    return multiple_choice().example_answer(
        compiled, row({{"q", "x"}, {"c", {"1", "2"}}, {"labels", labels}, {"gold", answer}}, 3));
  };
  EXPECT_EQ(gold({"A", "B"}, "B"), "2");
  EXPECT_EQ(gold({"2", "1"}, "2"), "1") << "labels alone decide";
  EXPECT_THROW(gold({"A", "B"}, "C"), InputError);
  EXPECT_THROW(gold({"A"}, "A"), InputError) << "a label for each choice";
}

TEST(MultipleChoice, choices_may_stand_in_the_context) {
  Task task = choice_task();
  task.prompt = "";
  task.choices.reset();
  task.contexts = {"{{o[0]}}", "{{o[1]}}"};
  task.target = TemplateList("{{end}}");
  const auto compiled = compile(task);
  const Document document = row({{"o", {"He", "She"}}, {"end", "ran."}, {"gold", 1}});
  const std::vector<Part> he = {"shots He"}, she = {"shots She"};
  const auto requests = multiple_choice().requests(compiled, document, {{he, she}, " "});
  EXPECT_EQ(requests[1].parts, (std::vector<Part>{"shots She", " ran."}));
  EXPECT_EQ(multiple_choice().example_question(compiled, document) + task.target_delimiter +
                multiple_choice().example_answer(compiled, document),
            "She ran.");
}

TEST(GenerateUntil, asks_for_lm_evals_defaults_and_takes_any_accepted_answer) {
  Task task;
  task.name = "g";
  task.type = "generate_until";
  task.prompt = "{{q}}";
  task.target = TemplateList("{{answers}}");
  task.metrics = {{"exact_match", {{"ignore_case", true}}}, {"token_f1", {}}};
  const auto compiled = compile(task);
  const Document document = row({{"q", "x"}, {"answers", {"Paris", "City of Light"}}});
  const auto request = generate_until().requests(compiled, document, {{{"x"}}, ""}).at(0);
  EXPECT_EQ(request.ask, Ask(Generate{{"\n\n"}, 256}));
  const std::vector<Response> responses = {{GenerateAnswer{"city of light", 3, {}, 0}, ""}};
  EXPECT_EQ(
      generate_until().score(compiled, document, responses, {"none", {{"take_first", {}}}}).at("exact_match").value,
      1.0);
}

Task drawn_task() {
  Task task;
  task.name = "t";
  task.type = "generate_until";
  task.prompt = "{{q}}";
  task.target = TemplateList("{{a}}");
  task.metrics = {{"exact_match", {}}};
  task.generation.temperature = 0.7;
  task.generation.top_k = 5;
  task.generation.repeats = 3;
  return task;
}

TEST(GenerateUntil, repeats_are_one_request_each_with_a_seed_of_its_own) {
  const Task task = drawn_task();
  const auto compiled = compile(task);
  const auto drawn = [&](std::uint64_t seed, const std::string& name) {
    auto requests = generate_until().requests(compiled, row({{"q", "x"}, {"a", "y"}}), {{{"x"}}, ""});
    seed_draws(requests, seed, name);
    std::vector<std::uint64_t> seeds;
    for (const Request& request : requests) seeds.push_back(std::get<Generate>(request.ask).draw->seed);
    EXPECT_EQ(std::get<Generate>(requests[0].ask).draw->top_k, 5);
    EXPECT_EQ(std::get<Generate>(requests[0].ask).draw->top_p, 1);
    return seeds;
  };
  const auto seeds = drawn(1234, "t");
  EXPECT_EQ(std::set(seeds.begin(), seeds.end()).size(), 3u);
  EXPECT_EQ(seeds, drawn(1234, "t"));
  EXPECT_NE(seeds, drawn(1235, "t"));
  EXPECT_NE(seeds, drawn(1234, "u"));
}

TEST(GenerateUntil, repeats_are_one_instance_on_a_sample_line) {
  Task task = drawn_task();
  task.filters = {{"vote", {{"majority_vote", {}}, {"take_first", {}}}}, {"two", {{"take_first_k", {{"k", 2}}}}}};
  const auto compiled = compile(task);
  CellRequests pair;
  pair.documents.push_back(row({{"q", "x"}, {"a", "y"}}));
  pair.requests = generate_until().requests(compiled, pair.documents[0], {{{"x"}}, ""});
  pair.first_request = {0, 3};
  std::vector<Response> responses;
  for (const char* text : {"n", "y", "y"}) responses.push_back({GenerateAnswer{text, 1, {}, 0}, ""});
  const CellScore score = score_cell(compiled, pair, responses, {});
  EXPECT_EQ(score.metrics.at(0).value, 1.0) << "most say y";
  std::istringstream lines(score.samples);
  std::string first, second;
  std::getline(lines, first);
  std::getline(lines, second);
  const auto line = nlohmann::json::parse(first);
  EXPECT_EQ(line["resps"], nlohmann::json::parse(R"([["n", "y", "y"]])"));
  EXPECT_EQ(line["filtered_resps"], nlohmann::json::parse(R"(["y"])"));
  EXPECT_EQ(nlohmann::json::parse(second)["filtered_resps"], nlohmann::json::parse(R"([["n", "y"]])"));
  EXPECT_EQ(line["arguments"].size(), 1u);
  EXPECT_EQ(line["arguments"]["gen_args_0"]["arg_1"]["do_sample"], true);
  EXPECT_EQ(line["arguments"]["gen_args_0"]["arg_1"]["temperature"], 0.7);
}

TEST(Requests, a_row_is_a_whole_request) {
  Task task;
  task.name = "r";
  task.type = "requests";
  const auto compiled = compile(task);
  const auto ask = [&](const nlohmann::ordered_json& json) {
    return requests().requests(compiled, row(json, 3), {}).at(0);
  };
  const Request scored = ask({{"id", "a"}, {"type", "loglikelihood"}, {"context", ""}, {"continuation", "x"}});
  EXPECT_EQ(scored, (Request{{"", "x"}, Loglikelihood{}}));
  EXPECT_EQ(ask({{"type", "loglikelihood_rolling"}, {"text", "t"}}), (Request{{"t"}, LoglikelihoodRolling{}}));
  const Request generated = ask({{"type", "generate_until"}, {"context", "c"}, {"until", {"\n"}}, {"max_gen_toks", 5}});
  EXPECT_EQ(generated.ask, Ask(Generate{{"\n"}, 5}));
  for (const auto& [wrong, why] : std::vector<std::pair<nlohmann::ordered_json, std::string>>{
           {{{"type", "loglikelihood"}, {"context", "c"}}, "d.jsonl:3: continuation: is missing"},
           {{{"type", "loglikelihood"}, {"context", "c"}, {"continuation", ""}}, "d.jsonl:3: continuation: is empty"},
           {{{"type", "say"}}, "d.jsonl:3: type: 'say' is not one of"},
           {{{"type", "loglikelihood_rolling"}, {"text", 1}}, "d.jsonl:3: text: expected a text, found 1"},
           {{{"type", "generate_until"}, {"context", "c"}, {"num_beams", 1}}, "d.jsonl:3: num_beams: is not known"},
           {{{"type", "generate_until"}, {"context", "c"}, {"temperature", -1}},
            "d.jsonl:3: temperature: expected 0 (greedy) or more, found -1.0"},
           {{{"type", "generate_until"}, {"context", "c"}, {"top_p", 0.5}},
            "d.jsonl:3: top_p: has no effect without a temperature"},
           {{{"type", "generate_until"}, {"context", "c"}, {"max_gen_toks", 0}},
            "d.jsonl:3: max_gen_toks: is below 1"}})
    try {
      ask(wrong);
      ADD_FAILURE() << wrong;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what();
    }
}

TEST(Rolling, weighs_by_words_and_bytes) {
  Task task;
  task.name = "r";
  task.type = "loglikelihood_rolling";
  task.text = "{{t}}";
  for (const std::string& name : loglikelihood_rolling().default_metrics()) task.metrics.push_back({name, {}});
  const auto compiled = compile(task);
  const auto values = loglikelihood_rolling().score(compiled, row({{"t", "é b"}}),
                                                    std::vector<Response>{{RollingAnswer{-3.0, 4}, ""}}, {});
  EXPECT_EQ(values.at("word_perplexity").weight, 2.0);
  EXPECT_EQ(values.at("byte_perplexity").weight, 4.0);
}

TEST(FewShot, never_shows_the_evaluated_document_and_follows_one_stream) {
  Task task = choice_task();
  task.fewshot.count = 3;
  std::vector<Document> pool;
  for (int i = 0; i < 12; ++i)
    pool.push_back(row({{"q", i}, {"c", {"a", "b"}}, {"gold", 0}}, static_cast<std::size_t>(i + 1)));
  FewShotSampler sampler(task, pool), again(task, pool);
  for (const Document& document : pool) {
    const auto drawn = sampler.draw(document);
    EXPECT_EQ(drawn.size(), 3u);
    for (const Document* one : drawn) EXPECT_NE(one->row, document.row);
    EXPECT_EQ(drawn, again.draw(document));
  }
}

TEST(FewShot, draws_again_where_copies_of_the_document_were_drawn) {
  Task task = choice_task();
  task.fewshot.count = 2;
  const std::vector<Document> pool(8, row({{"q", "same"}, {"c", {"a"}}, {"gold", 0}}));
  FewShotSampler sampler(task, pool);
  EXPECT_THROW(sampler.draw(pool[0]), InputError) << "every row equals the evaluated one";
}

TEST(FewShot, a_pool_too_small_is_refused_with_the_numbers) {
  Task task = choice_task();
  task.fewshot.count = 5;
  const std::vector<Document> pool(5, row({{"q", 1}}));
  EXPECT_THROW(FewShotSampler(task, pool), UsageError);
}

TEST(Prompt, is_description_examples_question) {
  Task task = choice_task();
  task.description = "D\n\n";
  const auto compiled = compile(task);
  const Document example = row({{"q", "1"}, {"c", {"yes", "no"}}, {"gold", 1}}),
                 question = row({{"q", "2"}, {"c", {"yes", "no"}}, {"gold", 0}});
  const auto prompt = [&](const std::string& system) {
    return plain_text(assemble_messages(compiled, multiple_choice(), system, {&example}, question,
                                        multiple_choice().question(compiled, question)));
  };
  EXPECT_EQ(prompt(""), "D\n\nQ: 1\nA: no\n\nQ: 2\nA:");
  EXPECT_EQ(prompt("S"), "S\n\nD\n\nQ: 1\nA: no\n\nQ: 2\nA:") << "joined by the few-shot delimiter";
}

TEST(CellScore, leaves_failed_requests_out_of_the_denominator_and_names_them) {
  const Task task = choice_task();
  const auto compiled = compile(task);
  CellRequests pair;
  for (std::size_t d = 0; d < 3; ++d) {
    pair.documents.push_back(row({{"q", d}, {"c", {"a", "b"}}, {"gold", 0}}, d + 1));
    pair.first_request.push_back(static_cast<std::uint32_t>(pair.requests.size()));
    for (auto& request : multiple_choice().requests(compiled, pair.documents.back(), {{{"p"}}, " "}))
      pair.requests.push_back(request);
  }
  pair.first_request.push_back(6);
  std::vector<Response> responses = {answer(-1), answer(-2), answer(-2), answer(-1), answer(-1), {{}, "worker died"}};
  const CellScore score = score_cell(compiled, pair, responses, {});
  EXPECT_EQ(score.documents, 3u);
  EXPECT_EQ(score.effective, 2u);
  EXPECT_EQ(score.failures, std::vector<std::string>{"d.jsonl:3: worker died"});
  EXPECT_EQ(score.metrics[0].metric, "acc");
  EXPECT_EQ(score.metrics[0].value, 0.5);
  EXPECT_NE(score.samples.find("\"resps\": null, \"error\": \"worker died\""), std::string::npos);
}

}  // namespace
}  // namespace proctor
