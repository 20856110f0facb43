#include "orchestrator/store/run_store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "orchestrator/store/run_directory.h"
#include "orchestrator/store/store_thread.h"
#include "sharding/protocol/request.h"

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

std::vector<std::string> log_of(RunStore& store) {
  std::vector<std::string> rows;
  store.replay([&](auto kind, auto key, auto payload) {
    rows.push_back(std::string(kind) + " " + std::string(key) + " " + std::string(payload));
  });
  return rows;
}

TEST_F(RunStoreTest, keeps_rows_over_a_reopening) {
  {
    RunStore store(path());
    store.begin();
    store.put("meta", "k", std::string("\0payload", 8));
    store.append("answer", "a", "1");
    store.append("event", "", "");
    store.append("answer", "a", "2");
    store.commit();
  }
  RunStore store(path(), RunStore::Open::existing);
  EXPECT_EQ(store.get("meta", "k"), std::string("\0payload", 8));
  EXPECT_EQ(store.get("meta", "other"), std::nullopt);
  EXPECT_EQ(store.all("meta").size(), 1u);
  EXPECT_TRUE(store.all("pair").empty());
  EXPECT_EQ(log_of(store), (std::vector<std::string>{"answer a 1", "event  ", "answer a 2"}));
}

TEST_F(RunStoreTest, a_row_that_fails_its_checksum_was_never_acknowledged) {
  {
    RunStore store(path());
    store.begin();
    store.put("meta", "a", "good");
    store.put("meta", "b", "will be damaged");
    store.append("answer", "a", "good");
    store.append("answer", "b", "will be damaged");
    store.commit();
  }
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(path().c_str(), &raw), SQLITE_OK);
  for (const char* table : {"records", "log"}) {
    const std::string damage = std::string("UPDATE ") + table + " SET payload = x'00' WHERE CAST(key AS TEXT) = 'b'";
    ASSERT_EQ(sqlite3_exec(raw, damage.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    ASSERT_EQ(sqlite3_changes(raw), 1);
  }
  sqlite3_close(raw);
  RunStore store(path());
  EXPECT_EQ(store.all("meta").size(), 1u);
  EXPECT_EQ(store.get("meta", "b"), std::nullopt);
  EXPECT_EQ(log_of(store), std::vector<std::string>{"answer a good"});
  EXPECT_EQ(store.bad_rows(), 3u);
}

TEST_F(RunStoreTest, an_empty_one_is_refused_where_there_was_one) {
  EXPECT_THROW(RunStore(path(), RunStore::Open::existing), EnvironmentError);
  std::ofstream(path()).close();
  EXPECT_THROW(RunStore(path(), RunStore::Open::existing), EnvironmentError);
  EXPECT_NO_THROW(RunStore{path()});
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
    store.append("answer", "k", "v");
  }
  RunStore store(path());
  EXPECT_TRUE(log_of(store).empty());
}

TEST_F(RunStoreTest, the_store_thread_acknowledges_what_is_durable) {
  RunStore store(path());
  {
    StoreThread thread(store);
    for (std::uint32_t i = 0; i < 100; ++i)
      thread.put({StoreRow::Table::log, "answer", std::to_string(i), "v", ShardId{i}});
    thread.put({StoreRow::Table::log, "event", "e", "v", std::nullopt});
    thread.stop();
    EXPECT_EQ(thread.acknowledged().size(), 100u);
  }
  EXPECT_EQ(log_of(store).size(), 101u);
}

TEST_F(RunStoreTest, a_failed_write_stops_acknowledging) {
  RunStore store(path());
  StoreThread thread(store);
  store.begin();  // the thread's own BEGIN must fail now
  thread.put({StoreRow::Table::log, "answer", "k", "v", ShardId{0}});
  thread.stop();
  EXPECT_THROW(thread.acknowledged(), EnvironmentError);
}

TEST_F(RunStoreTest, responses_survive_with_every_bit) {
  const std::vector<Response> responses = {{LoglikelihoodAnswer{-0.1234567890123456, true, 3, 0}, ""}, {{}, "why"}};
  const auto back = decode_responses(encode_responses(responses));
  EXPECT_EQ(back, responses);
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
