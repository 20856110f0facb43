// run.db after a loss of power at every write and sync, cut short at every length, and with flipped bits: what was
// acknowledged is there or, where the file itself was harmed, refused or missing; never something else.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "orchestrator/store/run_store.h"
#include "tests/orchestrator/store/power_loss_vfs.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Rows = std::map<std::string, std::string>;

Rows rows_of(RunStore& store) {
  Rows rows;
  for (const char* kind : {"meta", "shape"})
    for (auto& [key, payload] : store.all(kind)) rows[std::string(kind) + " " + key] = std::move(payload);
  store.replay([&](auto kind, auto key, auto payload) {
    rows[std::string(kind) + " " + std::string(key)] = std::string(payload);
  });
  return rows;
}

std::string payload(std::uint64_t commit, int row) {
  return std::string(100 + 700 * (commit % 7), static_cast<char>('a' + commit % 26)) + std::to_string(row);
}

/// Commits of five rows each; `acknowledged` grows with each that returned.
void work(RunStore& store, std::uint64_t commits, Rows& acknowledged) {
  for (std::uint64_t c = 0; c < commits; ++c) {
    Rows these = acknowledged;
    store.begin();
    store.put("meta", "last_visit", std::to_string(c));
    these["meta last_visit"] = std::to_string(c);
    for (int i = 0; i < 4; ++i) {
      const std::string key = std::to_string(c) + "." + std::to_string(i);
      store.append("answer", key, payload(c, i));
      these["answer " + key] = payload(c, i);
    }
    store.commit();
    acknowledged = std::move(these);
  }
}

TEST(PowerLoss, at_every_write_and_sync_no_acknowledged_answer_is_lost) {
  constexpr std::uint64_t kCommits = 12, kCrashes = 6;  // crashes: different remains of each
  std::uint64_t operations = 0;
  {
    PowerLossVfs disk;
    Rows all;
    RunStore store("run.db", RunStore::Open::new_or_existing, disk.name());
    work(store, kCommits, all);
    operations = disk.operations();
  }
  ASSERT_GT(operations, 100u);
  std::uint64_t torn = 0;
  for (std::uint64_t at = 1; at <= operations; ++at)
    for (std::uint64_t seed = 0; seed < kCrashes; ++seed) {
      PowerLossVfs disk;
      Rows acknowledged;
      bool begun = false;
      disk.lose_power_at(at);
      try {
        RunStore store("run.db", RunStore::Open::new_or_existing, disk.name());
        begun = true;
        work(store, kCommits, acknowledged);
      } catch (const Error&) {
      }
      disk.come_back(at * kCrashes + seed);
      RunStore store("run.db", begun ? RunStore::Open::existing : RunStore::Open::new_or_existing, disk.name());
      const Rows found = rows_of(store);
      ASSERT_EQ(store.bad_rows(), 0u);
      Rows next = acknowledged;  // the commit that was under way may have come through, whole
      if (found != acknowledged) {
        ++torn;
        RunStore fresh("other.db", RunStore::Open::new_or_existing, disk.name());
        Rows longer;
        work(fresh, acknowledged.size() / 4 + 1, longer);
        ASSERT_EQ(found, longer) << "power lost at operation " << at << ", seed " << seed;
      }
    }
  EXPECT_LT(torn, operations * kCrashes / 10) << "most of a commit's writes leave the one before";
}

class Damage : public testing::Test {
 protected:
  Damage() {
    fs::create_directories(root_);
    {
      RunStore store(path());
      work(store, 12, whole_);
    }
    std::stringstream text;
    text << std::ifstream(path(), std::ios::binary).rdbuf();
    bytes_ = text.str();
  }
  ~Damage() override { fs::remove_all(root_); }
  std::string path() const { return (root_ / "run.db").string(); }

  enum class Found { refused, less, all };
  /// Opens these bytes: every row that is given is one that was stored.
  Found look(const std::string& bytes) {
    fs::remove(path() + "-journal");
    std::ofstream(path(), std::ios::binary | std::ios::trunc) << bytes;
    Rows rows;
    try {
      RunStore store(path(), RunStore::Open::existing);
      rows = rows_of(store);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(path()), std::string::npos);
      return Found::refused;
    }
    for (const auto& [key, value] : rows) {
      const auto stored = whole_.find(key);
      EXPECT_TRUE(stored != whole_.end()) << "a row that nobody wrote: " << key;
      if (stored != whole_.end() && key.starts_with("answer")) {
        EXPECT_EQ(value, stored->second);
      }
    }
    return rows == whole_ ? Found::all : Found::less;
  }

  fs::path root_ = fs::temp_directory_path() / ("proctor-damage-" + std::to_string(::getpid()));
  Rows whole_;
  std::string bytes_;
};

TEST_F(Damage, cut_short_it_is_refused_and_by_less_than_a_page_it_has_less) {
  constexpr std::size_t kPage = 4096;
  ASSERT_EQ(look(bytes_), Found::all);
  for (std::size_t length = 0; length < bytes_.size(); length += 97) {
    const Found found = look(bytes_.substr(0, length));
    EXPECT_NE(found, Found::all) << "cut to " << length << " of " << bytes_.size();
    if (length + kPage <= bytes_.size()) {
      EXPECT_EQ(found, Found::refused) << "cut to " << length << " of " << bytes_.size();
    }
  }
}

TEST_F(Damage, a_flipped_bit_never_gives_another_answer) {
  std::mt19937_64 random(7);
  std::map<Found, int> found;
  for (int i = 0; i < 2000; ++i) {
    std::string flipped = bytes_;
    flipped[random() % flipped.size()] ^= static_cast<char>(1 << random() % 8);
    ++found[look(flipped)];
  }
  EXPECT_GT(found[Found::less], 1000) << "most bits are payload, whose rows are left out";
  EXPECT_GT(found[Found::refused], 0);
  RecordProperty("refused", found[Found::refused]);
  RecordProperty("rows_left_out", found[Found::less]);
  RecordProperty("harmless", found[Found::all]);
}

}  // namespace
}  // namespace proctor
