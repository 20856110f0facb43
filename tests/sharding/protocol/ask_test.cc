// Asks and answers: their JSON and MessagePack forms keep every field, and stay as they are, since hashes are made of
// them.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "sharding/protocol/ask_json.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/kinds.h"
#include "sharding/protocol/ledger_json.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

/// Values of every field, from a stream of random numbers.
struct Maker {
  std::mt19937_64 random{std::random_device()()};
  std::uint64_t seed = random();

  Maker() { random.seed(seed); }
  bool toss() { return random() % 2 == 0; }
  std::int64_t number() { return static_cast<std::int64_t>(random() % 100000); }
  double real() {
    return std::ldexp(static_cast<double>(random()), -static_cast<int>(random() % 90)) * (toss() ? 1 : -1);
  }
  std::string text() {
    static const std::vector<std::string> pieces = {"a", " ", "\n", "é", "中", "😀", "\"", "\\", "\x7f", "longer text"};
    std::string out;
    for (std::uint64_t i = random() % 8; i > 0; --i) out += pieces[random() % pieces.size()];
    return out;
  }
  std::vector<std::string> texts() { return {text(), text()}; }
  OnLong on_long() { return toss() ? OnLong::fail : OnLong::truncate; }

  Ask ask() {
    switch (random() % std::variant_size_v<Ask>) {
      case 0:
        return Loglikelihood{on_long()};
      case 1:
        return LoglikelihoodRolling{};
      case 2: {
        Generate generate{texts(), number(), on_long(), {}, {}, toss()};
        if (toss()) generate.repetition_penalty = 1.1;
        if (toss()) generate.draw = {0.7, toss() ? 1 : 0.5, toss() ? 0 : 5, toss() ? 0 : random()};
        return generate;
      }
      case 3:
        return Embed{toss() ? texts() : std::vector<std::string>{}, text()};
      case 4:
        return ScorePair{text(), text()};
      default:
        return Compress{number()};
    }
  }
  Answer answer() {
    switch (random() % std::variant_size_v<Answer>) {
      case 0:
        return {};
      case 1:
        return LoglikelihoodAnswer{real(), toss(), number(), number()};
      case 2:
        return RollingAnswer{real(), number()};
      case 3: {
        GenerateAnswer generated{text(), number(), {}, number()};
        if (toss()) generated.chosen = {{1, 2, 300000}, {real(), real(), real()}};
        return generated;
      }
      case 4:
        return EmbedAnswer{{static_cast<float>(real()), static_cast<float>(real())}, number(), number()};
      case 5:
        return ScorePairAnswer{real(), number(), number()};
      default:
        return CompressAnswer{text(), number(), number()};
    }
  }
};

TEST(Ask, every_field_survives_text_and_messagepack) {
  Maker make;
  for (int i = 0; i < 2000; ++i) {
    const Request request{{make.text(), make.text()}, make.ask()};
    EXPECT_EQ(Json::parse(Json(request).dump()).get<Request>(), request) << "seed " << make.seed;
    EXPECT_EQ(Json::from_msgpack(Json::to_msgpack(Json(request))).get<Request>(), request) << "seed " << make.seed;
  }
}

TEST(Answer, every_field_survives_the_store) {
  Maker make;
  std::vector<Response> responses;
  for (int i = 0; i < 2000; ++i) responses.push_back({make.answer(), make.toss() ? make.text() : ""});
  EXPECT_EQ(decode_responses(encode_responses(responses)), responses) << "seed " << make.seed;
  EXPECT_THROW(decode_responses("\xc1"), Error);
  EXPECT_THROW(decode_responses(encode_responses(responses).substr(0, 100)), Error);
}

/// Plans, seeds and identities are hashes of these.
TEST(Ask, its_text_is_what_it_always_was) {
  const auto text = [](const Ask& ask) { return Json(Request{{"a", "b"}, ask}).dump(); };
  EXPECT_EQ(text(Loglikelihood{}), R"({"ask":{"fail_on_long":false,"type":"loglikelihood"},"parts":["a","b"]})");
  EXPECT_EQ(text(LoglikelihoodRolling{}), R"({"ask":{"type":"loglikelihood_rolling"},"parts":["a","b"]})");
  EXPECT_EQ(
      text(Generate{{"\n"}, 5}),
      R"({"ask":{"fail_on_long":false,"max_gen_toks":5,"type":"generate_until","until":["\n"]},"parts":["a","b"]})");
  EXPECT_EQ(
      text(Generate{{}, 5, OnLong::fail, 1.5, Draw{0.5, 0.9, 3, 7}, true}),
      R"({"ask":{"fail_on_long":true,"logprobs":true,"max_gen_toks":5,"repetition_penalty":1.5,"seed":7,"temperature":0.5,"top_k":3,"top_p":0.9,"type":"generate_until","until":[]},"parts":["a","b"]})");
  EXPECT_EQ(text(Embed{}), R"({"ask":{"type":"embed"},"parts":["a","b"]})");
  EXPECT_EQ(text(Embed{{"query"}, "p"}),
            R"({"ask":{"passage":"p","prompts":["query"],"type":"embed"},"parts":["a","b"]})");
  EXPECT_EQ(text(ScorePair{"q", "p"}), R"({"ask":{"passage":"p","query":"q","type":"score_pair"},"parts":["a","b"]})");
  EXPECT_EQ(text(Compress{9}), R"({"ask":{"target_tokens":9,"type":"compress"},"parts":["a","b"]})");
}

TEST(Ask, an_answer_is_of_the_kind_that_was_asked_for) {
  EXPECT_TRUE(answers(CompressAnswer{}, Compress{}));
  EXPECT_FALSE(answers(CompressAnswer{}, Embed{}));
  EXPECT_FALSE(answers({}, Embed{}));
  EXPECT_EQ(truncated_of(EmbedAnswer{{}, 5, 2}), 2);
  EXPECT_EQ(truncated_of(RollingAnswer{}), 0);
}

TEST(Part, an_image_travels_and_is_refused_by_name_where_a_text_is_read) {
  const Request request{{Image{"0123", "/pictures/cat.png", 480, 640}, "what is it?"}, Generate{}};
  EXPECT_EQ(Json::parse(Json(request).dump()).get<Request>(), request);
  EXPECT_EQ(text_of(request, 1), "what is it?");
  EXPECT_EQ(text_bytes(request.parts[0]), 0u);
  for (const std::size_t part : {0, 2}) try {
      (void)text_of(request, part);
      ADD_FAILURE() << part;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(part == 0 ? "image /pictures/cat.png (640 x 480)" : "has no part 3"),
                std::string::npos)
          << error.what();
    }
}

TEST(Kinds, each_request_type_has_a_kind_that_answers_it_and_names_are_unique) {
  std::set<std::string> names;
  std::set<RequestType> answered;
  for (const KindRow& row : kinds()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_FALSE(row.needs.empty()) << row.name;
    answered.insert(row.answers.begin(), row.answers.end());
  }
  EXPECT_EQ(answered.size(), std::variant_size_v<Ask>);
  EXPECT_EQ(find_kind_row("no such kind"), nullptr);
}

TEST(Ledger, a_line_survives_its_text_and_lacks_nothing_that_an_older_one_had) {
  LedgerLine line;
  line.module = "m";
  line.visit = VisitId{7};
  line.worker = {AgentId{2}, 5};
  line.member = 1;
  line.members = 2;
  line.verdict = Verdict::recycled;
  line.reason = "4096 allocated bytes more than before";
  line.closed_s = 9.5;
  line.lost_s = 0.25;
  line.row.load_s = 1.5;
  line.row.steps = {{"graphs", 0.5}};
  line.row.allocated_peak = 1ull << 40;
  line.row.new_threads = "pool";
  const nlohmann::ordered_json json = line;
  const auto back = nlohmann::ordered_json::parse(json.dump()).get<LedgerLine>();
  EXPECT_EQ(nlohmann::ordered_json(back), json);
  EXPECT_EQ(back.worker, line.worker);
  EXPECT_EQ(back.row.steps, line.row.steps);
  const auto older = nlohmann::ordered_json::parse(R"({"module": "m", "verdict": "aborted"})").get<LedgerLine>();
  EXPECT_EQ(older.verdict, Verdict::aborted);
  EXPECT_EQ(older.row.allocated_peak, 0u);
}

}  // namespace
}  // namespace proctor
