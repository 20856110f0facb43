#include "orchestrator/run_store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "orchestrator/run_directory.h"
#include "orchestrator/store_thread.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

class RunStoreTest : public testing::Test {
 protected:
  RunStoreTest() { fs::create_directories(root_); }
  ~RunStoreTest() override { fs::remove_all(root_); }
  std::string path() const { return (root_ / "run.db").string(); }
  fs::path root_ = fs::temp_directory_path() / ("proctor-store-" + std::to_string(::getpid()));
};

TEST_F(RunStoreTest, keeps_rows_over_a_reopening) {
  {
    RunStore store(path());
    store.begin();
    store.put("answer", "k", std::string("\0payload", 8));
    store.commit();
  }
  RunStore store(path());
  EXPECT_EQ(store.get("answer", "k"), std::string("\0payload", 8));
  EXPECT_EQ(store.get("answer", "other"), std::nullopt);
  EXPECT_EQ(store.all("answer").size(), 1u);
  EXPECT_TRUE(store.all("meta").empty());
}

TEST_F(RunStoreTest, a_row_that_fails_its_checksum_was_never_acknowledged) {
  {
    RunStore store(path());
    store.begin();
    store.put("answer", "a", "good");
    store.put("answer", "b", "will be damaged");
    store.commit();
  }
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(path().c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(
      sqlite3_exec(raw, "UPDATE rows SET payload = x'00' WHERE CAST(key AS TEXT) = 'b'", nullptr, nullptr, nullptr),
      SQLITE_OK);
  ASSERT_EQ(sqlite3_changes(raw), 1);
  sqlite3_close(raw);
  RunStore store(path());
  EXPECT_EQ(store.all("answer").size(), 1u);
  EXPECT_EQ(store.get("answer", "b"), std::nullopt);
  EXPECT_EQ(store.bad_rows(), 2u);
}

TEST_F(RunStoreTest, refuses_what_is_not_its_own) {
  std::ofstream(path()) << "this is no database, but it is long enough to be looked at as one "
                           ".........................................................";
  EXPECT_THROW(RunStore store(path()), EnvironmentError);
  fs::remove(path());
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(path().c_str(), &raw), SQLITE_OK);
  sqlite3_exec(raw, "CREATE TABLE foreign_table (x)", nullptr, nullptr, nullptr);
  sqlite3_close(raw);
  EXPECT_THROW(RunStore store(path()), EnvironmentError);
}

TEST_F(RunStoreTest, a_torn_transaction_leaves_nothing) {
  {
    RunStore store(path());
    store.begin();
    store.put("answer", "k", "v");
  }
  EXPECT_EQ(RunStore(path()).get("answer", "k"), std::nullopt);
}

TEST_F(RunStoreTest, the_store_thread_acknowledges_what_is_durable) {
  RunStore store(path());
  {
    StoreThread thread(store);
    for (std::uint32_t i = 0; i < 100; ++i) thread.put({"answer", std::to_string(i), "v", ShardId{i}});
    thread.put({"event", "e", "v", std::nullopt});
    thread.stop();
    EXPECT_EQ(thread.acknowledged().size(), 100u);
  }
  EXPECT_EQ(store.all("answer").size(), 100u);
}

TEST_F(RunStoreTest, a_failed_write_stops_acknowledging) {
  RunStore store(path());
  StoreThread thread(store);
  store.begin();  // the thread's own BEGIN must fail now
  thread.put({"answer", "k", "v", ShardId{0}});
  thread.stop();
  EXPECT_THROW(thread.acknowledged(), StoreFailure);
}

TEST_F(RunStoreTest, responses_survive_with_every_bit) {
  const std::vector<Response> responses = {{nlohmann::json::array({-0.1234567890123456, true}), ""}, {nullptr, "why"}};
  const auto back = decode_responses(encode_responses(responses));
  EXPECT_EQ(back[0].value, responses[0].value);
  EXPECT_EQ(back[1].error, "why");
}

TEST_F(RunStoreTest, a_lock_is_held_once_and_taken_over_from_the_dead) {
  const RunDirectory directory(root_);
  {
    const RunLock lock(directory);
    EXPECT_THROW(RunLock again(directory), EnvironmentError);
  }
  std::ifstream boot("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(boot, id);
  std::ofstream(directory.owner()) << nlohmann::json{
      {"host", "h"}, {"boot_id", id}, {"pid", 1}, {"start_time", "never"}};
  const RunLock taken(directory);
}

TEST_F(RunStoreTest, fresh_renames_and_never_deletes) {
  const RunDirectory directory(root_ / "run");
  directory.create();
  write_file(directory.suite(), "a");
  directory.set_aside();
  EXPECT_FALSE(fs::exists(directory.root()));
  EXPECT_TRUE(fs::exists(root_ / "run.old-1" / "suite.yaml"));
}

}  // namespace
}  // namespace proctor
