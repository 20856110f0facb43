#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>

#include "sharding/protocol/channel.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/message.h"
#include "sharding/protocol/wire.h"

namespace proctor {
namespace {

TEST(Wire, gives_back_frames_however_the_bytes_arrive) {
  const std::string bytes = frame("one") + frame("") + frame(std::string(100000, 'x'));
  for (std::size_t step : {1u, 3u, 7u, 4096u}) {
    FrameReader reader;
    std::vector<std::string> got;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      reader.feed(std::string_view(bytes).substr(at, step));
      while (auto payload = reader.next()) got.push_back(*payload);
    }
    EXPECT_EQ(got, (std::vector<std::string>{"one", "", std::string(100000, 'x')}));
    EXPECT_FALSE(reader.torn());
  }
}

TEST(Wire, refuses_a_wild_length_and_knows_a_torn_frame) {
  FrameReader reader;
  reader.feed("\xff\xff\xff\xff");
  EXPECT_THROW(reader.next(), Error);
  FrameReader torn;
  torn.feed(frame("abc").substr(0, 5));
  EXPECT_EQ(torn.next(), std::nullopt);
  EXPECT_TRUE(torn.torn());
}

TEST(Message, progress_is_told_from_all_else_without_decoding) {
  EXPECT_TRUE(is_progress(encode(WorkerReport(Progress{VisitId{1}, "t", 2, 3, 4}))));
  EXPECT_TRUE(is_progress(encode(WorkerReport(Progress{}))));
  for (const WorkerReport& other :
       std::vector<WorkerReport>{WorkerReady{}, Waiting{}, GangAddress{}, VisitOpened{}, OpenFailed{}, ShardAnswered{},
                                 ShardFailed{}, Quiesced{}, VisitClosed{}})
    EXPECT_FALSE(is_progress(encode(other))) << other.index();
}

TEST(Message, survives_the_wire) {
  RunShard order{VisitId{7}, ShardId{9}, 2,   512,         {{{"context", "continuation \xC3\xA9"}, Loglikelihood{}}},
                 {3},        {1, 2},     7.5, ShardId{10}, {{{"what follows"}, Generate{}}}};
  const auto back = std::get<RunShard>(decode_worker_order(encode(WorkerOrder(order))));
  EXPECT_EQ(back.shard, order.shard);
  EXPECT_EQ(back.requests[0].parts, order.requests[0].parts);
  EXPECT_EQ(back.unit_s, 7.5);
  EXPECT_EQ(back.next_shard, order.next_shard);
  EXPECT_EQ(back.next, order.next);
  EXPECT_EQ(back.isolated, order.isolated);
  EXPECT_EQ(back.set_aside, order.set_aside);
  LedgerRow row;
  row.allocated_peak = 1ull << 40;
  row.steps["measure"] = 0.25;
  const auto closed = std::get<VisitClosed>(decode_worker_report(encode(WorkerReport(VisitClosed{VisitId{1}, row}))));
  EXPECT_EQ(closed.row.allocated_peak, 1ull << 40);
  EXPECT_EQ(closed.row.steps.at("measure"), 0.25);
  OpenVisit open{VisitId{2}, {}, 1, 4, 2048, {}, {}};
  open.deadlines.teardown = Deadlines::Seconds(0.5);
  open.module.name = "m";
  open.module.max_length = 77;
  const auto opened = std::get<OpenVisit>(decode_worker_order(encode(WorkerOrder(open))));
  EXPECT_EQ(opened.module.max_length, 77);
  EXPECT_EQ(opened.deadlines.teardown.count(), 0.5);
  EXPECT_EQ(opened.module.add_bos_token, std::nullopt);
}

TEST(Message, log_likelihoods_keep_every_bit) {
  const double value = -23.254154205322266;
  ShardAnswered answered{VisitId{1}, ShardId{0}, 1, {Response{LoglikelihoodAnswer{value, false, 3, 0}, ""}}, 9, 0.5};
  const auto back = std::get<ShardAnswered>(decode_worker_report(encode(WorkerReport(answered))));
  EXPECT_EQ(std::get<LoglikelihoodAnswer>(back.responses[0].answer).loglikelihood, value);
}

TEST(Message, unreadable_bytes_are_an_error_not_a_crash) {
  EXPECT_THROW(decode_worker_order("\xc1"), Error);
  EXPECT_THROW(decode_worker_order(""), Error);
  EXPECT_THROW(decode_agent_report("\x81\xa1t\x63"), Error);
}

TEST(Channel, carries_frames_both_ways_and_sees_the_end) {
  auto [mine, theirs] = make_channel_pair();
  std::thread echo([&theirs = theirs] {
    while (auto payload = theirs.receive())
      if (!theirs.send(*payload + "!")) return;
  });
  ASSERT_TRUE(mine.send(std::string(1 << 20, 'a')));
  EXPECT_EQ(mine.receive()->size(), (1u << 20) + 1);
  { Channel gone = std::move(mine); }
  echo.join();
}

TEST(Channel, a_post_never_waits_for_a_reader_that_sleeps) {
  auto [mine, theirs] = make_channel_pair();
  ASSERT_TRUE(mine.post(std::string(4 << 20, 'b')));
  EXPECT_TRUE(mine.has_unsent());
  std::thread reader([&theirs = theirs] { EXPECT_EQ(theirs.receive()->size(), 4u << 20); });
  while (mine.has_unsent()) ASSERT_TRUE(mine.flush());
  reader.join();
}

TEST(Channel, descriptors_arrive_in_order_and_no_later_than_their_frames) {
  auto [mine, theirs] = make_channel_pair();
  const std::string large(1 << 20, 'c');
  std::thread reader([&theirs = theirs] {
    EXPECT_EQ(theirs.receive()->size(), 1u << 20);
    EXPECT_EQ(theirs.receive(), "first");
    EXPECT_EQ(theirs.receive(), "second");
    for (const char* expected : {"one", "two"}) {
      const auto received = theirs.take_descriptor();
      ASSERT_TRUE(received);
      char text[3];
      EXPECT_EQ(::pread(received->value(), text, 3, 0), 3);
      EXPECT_EQ(std::string(text, 3), expected);
    }
  });
  ASSERT_TRUE(mine.post(large));
  const char* content[] = {"one", "two"};
  const char* frames[] = {"first", "second"};
  for (int i = 0; i < 2; ++i) {
    const Descriptor memory(::memfd_create("test", MFD_CLOEXEC));
    ASSERT_EQ(::write(memory.value(), content[i], 3), 3);
    ASSERT_TRUE(mine.post(frames[i], memory.value()));  // duplicated there: ours may be closed at once
  }
  while (mine.has_unsent()) ASSERT_TRUE(mine.flush());
  reader.join();
}

}  // namespace
}  // namespace proctor
