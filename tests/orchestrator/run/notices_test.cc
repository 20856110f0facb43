// Who is told, with a real shell: what it reads, how it may fail, and that nobody waits for it for long.
#include "orchestrator/run/notices.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>

#include "orchestrator/base/exit_code.h"

namespace proctor {
namespace {

class NoticesTest : public testing::Test {
 protected:
  ~NoticesTest() override { std::filesystem::remove(file_); }

  Notices notices(const std::string& command, std::chrono::duration<double> deadline = Notices::kDeadline) {
    return Notices(
        command, [] { return false; },
        [this](const std::string& message) {
          const std::lock_guard lock(mutex_);
          said_.push_back(message);
        },
        deadline);
  }
  std::vector<nlohmann::json> told() const {
    std::vector<nlohmann::json> all;
    std::ifstream stream(file_);
    for (std::string line; std::getline(stream, line);) all.push_back(nlohmann::json::parse(line));
    return all;
  }

  std::filesystem::path file_ =
      std::filesystem::temp_directory_path() / ("proctor-notices-" + std::to_string(::getpid()));
  std::mutex mutex_;
  std::vector<std::string> said_;
};

TEST_F(NoticesTest, a_command_reads_what_happened_and_of_several_ends_the_first) {
  {
    Notices all = notices("cat >> " + file_.string());
    all.about("s", "/runs/s");
    all.tell_end(kSomeFailed, "two failed, a \"b\"\n");
    all.tell_end(kDone, "not this");
  }
  ASSERT_EQ(told().size(), 1u);
  const nlohmann::json one = told()[0];
  EXPECT_EQ(one["event"], "failed");
  EXPECT_EQ(one["exit_code"], kSomeFailed);
  EXPECT_EQ(one["message"], "two failed, a \"b\"\n");
  EXPECT_EQ(one["suite"], "s");
  EXPECT_EQ(one["directory"], "/runs/s");
  EXPECT_EQ(said_, std::vector<std::string>());
}

TEST_F(NoticesTest, a_loss_is_no_end) {
  { notices("cat >> " + file_.string()).tell({"slot_lost", "worker 0.1"}); }
  ASSERT_EQ(told().size(), 1u);
  EXPECT_EQ(told()[0]["event"], "slot_lost");
  EXPECT_TRUE(told()[0]["exit_code"].is_null());
}

TEST_F(NoticesTest, what_becomes_of_it_is_said) {
  notices("exit 3").tell_end(kDone, "");
  notices("kill -9 $$").tell_end(kDone, "");
  notices("sleep 3600", std::chrono::duration<double>(0.2)).tell_end(kDone, "");
  notices("").tell_end(kDone, "");
  ASSERT_EQ(said_.size(), 3u);
  EXPECT_NE(said_[0].find("'exit 3', told of done: ended with 3"), std::string::npos) << said_[0];
  EXPECT_NE(said_[1].find("was ended by signal 9"), std::string::npos);
  EXPECT_NE(said_[2].find("did not end within 0.2 s and was killed"), std::string::npos);
}

TEST_F(NoticesTest, a_large_message_to_a_command_that_does_not_read_it) {
  notices("true").tell_end(kDone, std::string(1 << 20, 'x'));
  EXPECT_EQ(said_, std::vector<std::string>());
}

TEST(Notices, ends_have_names) {
  EXPECT_EQ(end_name(kDone), "done");
  EXPECT_EQ(end_name(kStoppedEarly), "drained");
  EXPECT_EQ(end_name(kInterrupted), "drained");
  for (const int code : {kSomeFailed, kUsage, kEnvironment, kInput, kInternal}) EXPECT_EQ(end_name(code), "failed");
}

}  // namespace
}  // namespace proctor
