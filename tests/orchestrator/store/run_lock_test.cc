// Who has a run directory, and when it may be taken over.
#include "orchestrator/store/run_lock.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "orchestrator/store/store_thread.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
const LockPatience kShort{std::chrono::milliseconds(30), std::chrono::milliseconds(1), {}};

class RunLockTest : public testing::Test {
 protected:
  RunLockTest() { directory_.create(); }
  ~RunLockTest() override { fs::remove_all(directory_.root()); }
  void owned_by(const Owner& owner) const { std::ofstream(directory_.owner()) << nlohmann::json(owner); }
  /// On another machine, where nobody can look whether it lives.
  static Owner elsewhere() {
    Owner owner = this_owner();
    owner.host = "node7";
    owner.boot_id = "another";
    return owner;
  }
  /// Why it was refused, "" if it was not.
  std::string refusal(const LockPatience& patience = kShort) const {
    try {
      const RunLock lock(directory_, patience);
    } catch (const EnvironmentError& error) {
      return error.what();
    }
    return "";
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory_.root()), {}));
  }
  RunDirectory directory_{fs::temp_directory_path() / ("proctor-lock-" + std::to_string(::getpid()))};
};

TEST_F(RunLockTest, is_held_once_and_leaves_nothing) {
  const std::size_t before = files();
  {
    const RunLock lock(directory_, kShort);
    EXPECT_NE(refusal().find("pid " + std::to_string(::getpid()) + " on "), std::string::npos);
    EXPECT_NO_THROW(lock.verify());
  }
  EXPECT_EQ(files(), before);
  EXPECT_EQ(refusal(), "");
}

TEST_F(RunLockTest, is_taken_at_once_from_a_process_that_is_gone) {
  Owner dead = this_owner();
  dead.start_time = "before";
  owned_by(dead);
  EXPECT_EQ(refusal({std::chrono::hours(1), std::chrono::hours(1), {}}), "");
}

TEST_F(RunLockTest, is_taken_at_once_from_a_zombie) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  siginfo_t ended;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT), 0);  // ended, and not reaped
  Owner dead = this_owner();
  std::ifstream stat("/proc/" + std::to_string(child) + "/stat");
  for (int field = 1; field <= 22; ++field) stat >> dead.start_time;
  dead.pid = child;
  EXPECT_EQ(dead_because(dead, this_owner()), "its process is gone");
  ::waitpid(child, nullptr, 0);
}

TEST_F(RunLockTest, a_process_of_another_container_is_not_gone_because_it_cannot_be_seen) {
  Owner unseen = this_owner();
  unseen.pid_namespace = "pid:[1]";
  unseen.start_time = "before";
  EXPECT_EQ(dead_because(unseen, this_owner()), "");
  EXPECT_FALSE(surely_alive(unseen, this_owner()));
}

TEST_F(RunLockTest, is_taken_at_once_from_an_earlier_start_of_the_same_job) {
  Owner before = elsewhere(), now = this_owner();
  before.job_id = now.job_id = "17";
  now.restart_count = 1;
  EXPECT_NE(dead_because(before, now), "");
  EXPECT_EQ(dead_because(now, before), "") << "not the other way round";
  now.job_id = "18";
  EXPECT_EQ(dead_because(before, now), "") << "nor from another job";
}

TEST_F(RunLockTest, is_taken_from_an_owner_elsewhere_only_when_its_counter_stands_still) {
  owned_by(elsewhere());
  std::string told;
  const RunLock lock(directory_, kShort, [&](const std::string& message) { told = message; });
  EXPECT_NE(told.find("node7"), std::string::npos) << "a wait is explained: " << told;
  EXPECT_EQ(read_owner(directory_)->host, this_owner().host);
}

TEST_F(RunLockTest, is_refused_while_the_counter_of_an_owner_elsewhere_grows) {
  Owner owner = elsewhere();
  owned_by(owner);
  const LockPatience patience{std::chrono::hours(1), std::chrono::milliseconds(1), {}};
  const auto beat = [&](const std::string&) {  // between the contender's first look and its second
    ++owner.counter;
    owned_by(owner);
  };
  EXPECT_THROW(RunLock(directory_, patience, beat), EnvironmentError);
  EXPECT_EQ(read_owner(directory_), owner);
}

TEST_F(RunLockTest, a_wait_for_a_sign_of_life_can_be_given_up) {
  owned_by(elsewhere());
  const LockPatience patience{std::chrono::hours(1), std::chrono::hours(1), [] { return true; }};
  EXPECT_NE(refusal(patience).find("stopped while waiting"), std::string::npos);
}

TEST_F(RunLockTest, its_beat_is_seen_by_others) {
  RunLock lock(directory_, kShort);
  const Owner before = *read_owner(directory_);
  lock.beat();
  Owner after = *read_owner(directory_);
  EXPECT_EQ(after.counter, before.counter + 1);
  after.counter = before.counter;
  EXPECT_EQ(after, before);
}

TEST_F(RunLockTest, it_is_beaten_while_a_database_is_read) {
  RunLock lock(directory_);
  const std::uint64_t before = read_owner(directory_)->counter;
  const KeptBeating beating(lock, std::chrono::milliseconds(1));
  while (read_owner(directory_).value_or(Owner()).counter < before + 3) std::this_thread::yield();
}

TEST_F(RunLockTest, a_folder_is_taken_over_that_is_empty_or_a_runs) {
  const RunDirectory other(directory_.root() / "other");
  const auto refused = [&] {
    try {
      other.refuse_foreign();
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(refused(), "") << "there is none";
  fs::create_directories(other.root() / "results");
  fs::create_directories(other.root() / "logs");
  std::ofstream(other.root() / "logs/slurm-1.out") << "1";
  EXPECT_EQ(refused(), "") << "as good as empty";
  std::ofstream(other.marker().string() + ".tmp") << "a run dir";
  EXPECT_EQ(refused(), "") << "a run was killed while it wrote its marker";
  std::ofstream(other.root() / "results/table.json") << "1";
  EXPECT_NE(refused().find("is no run directory, and holds results"), std::string::npos) << refused();
  fs::remove(other.root() / "results/table.json");
  std::ofstream(other.suite()) << "suite: s\n";
  EXPECT_NE(refused().find("holds suite.yaml"), std::string::npos) << "somebody's project";
  std::ofstream(other.database()) << "";
  EXPECT_EQ(refused(), "") << "a run of before the marker";
  fs::remove(other.database());
  fs::remove(other.suite());
  other.create();
  std::ofstream(other.suite()) << "suite: s\n";
  EXPECT_EQ(refused(), "") << "its marker is there";
  std::ofstream(directory_.root() / "file") << "1";
  EXPECT_THROW(RunDirectory(directory_.root() / "file").refuse_foreign(), UsageError);
}

TEST_F(RunLockTest, files_that_a_user_names_are_written_where_they_lead) {
  const fs::path root = directory_.root(), link = root / "link.svg";
  fs::create_symlink("target.svg", link);
  write_output(link, "one");
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_TRUE(fs::is_regular_file(root / "target.svg"));
  write_output(link, "two");
  std::string text;
  std::ifstream(root / "target.svg") >> text;
  EXPECT_EQ(text, "two");
  write_output("/dev/null", "nothing");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  ASSERT_EQ(::mkfifo((root / "pipe").c_str(), 0600), 0);
  EXPECT_THROW(write_output(root / "pipe", "x"), UsageError);
  EXPECT_THROW(write_output(root, "x"), UsageError);
}

TEST_F(RunLockTest, fresh_renames_the_folder_behind_a_link) {
  const fs::path link = directory_.root().string() + "-link";
  fs::create_directory_symlink(directory_.root(), link);
  RunDirectory(link).set_aside();
  EXPECT_TRUE(fs::exists(directory_.root().string() + ".old-1"));
  RunDirectory(directory_.root()).create();
  EXPECT_TRUE(fs::is_symlink(link) && fs::exists(link / "results")) << "the next run lies where the link points";
  fs::remove(link);
  fs::remove_all(directory_.root().string() + ".old-1");
}

TEST_F(RunLockTest, who_was_taken_over_notices_and_removes_nothing) {
  {
    RunLock lock(directory_, kShort);
    fs::rename(directory_.owner(), directory_.root() / "aside");
    owned_by(elsewhere());
    lock.beat();  // goes to its own file, whatever that is called by now
    EXPECT_THROW(lock.verify(), LockLost);
  }
  EXPECT_EQ(read_owner(directory_)->host, "node7");
}

TEST_F(RunLockTest, an_unreadable_owner_is_refused_with_what_to_do) {
  std::ofstream(directory_.owner()) << "{ torn";
  EXPECT_NE(refusal().find("remove "), std::string::npos);
}

TEST_F(RunLockTest, the_store_thread_writes_nothing_once_it_is_lost) {
  RunLock lock(directory_, kShort);
  RunStore store(directory_.database().string());
  StoreThread thread(store, &lock);
  fs::rename(directory_.owner(), directory_.root() / "aside");
  owned_by(elsewhere());
  thread.put({StoreRow::Table::log, "answer", "k", "v", ShardId{0}});
  thread.stop();
  EXPECT_THROW((void)thread.acknowledged(), LockLost);
  store.replay([](auto, auto, auto) { ADD_FAILURE() << "a row was written"; });
}

}  // namespace
}  // namespace proctor
