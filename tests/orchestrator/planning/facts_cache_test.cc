#include "orchestrator/planning/facts_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "sharding/protocol/facts_json.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

/// A model folder of two files, a worker binary, and a cache.
class FactsCacheTest : public testing::Test {
 protected:
  FactsCacheTest() {
    fs::create_directories(root_ / "model" / "1_Pooling");
    write("model/config.json", "{}");
    write("model/1_Pooling/config.json", "{}");
    write("worker", "a binary");
    module_.name = "m";
    module_.path = (root_ / "model").string();
    facts_.architecture = "LlamaForCausalLM";
    facts_.max_length = 512;
  }
  ~FactsCacheTest() override { fs::remove_all(root_); }
  void write(const std::string& file, const std::string& text) const { std::ofstream(root_ / file) << text; }
  FactsCache cache() const { return {root_ / "cache", root_ / "worker"}; }

  std::optional<ModelFacts> find() const { return cache().find(cache().file_of(module_)); }
  void keep() const { cache().keep(cache().file_of(module_), facts_); }

  fs::path root_ = fs::temp_directory_path() / ("proctor-facts-" + std::to_string(::getpid()));
  Module module_;
  ModelFacts facts_;
};

TEST_F(FactsCacheTest, an_unchanged_folder_is_known_from_start_to_start) {
  EXPECT_FALSE(find());
  keep();
  ASSERT_TRUE(find());
  EXPECT_EQ(nlohmann::json(*find()), nlohmann::json(facts_));
  module_.name = "another name of the same";
  EXPECT_TRUE(find());
}

TEST_F(FactsCacheTest, whatever_changes_in_the_folder_the_module_or_the_worker_is_asked_again) {
  keep();
  Module longer = module_;
  longer.max_length = 1024;
  EXPECT_FALSE(cache().find(cache().file_of(longer)));
  write("model/1_Pooling/config.json", "{\"pooling_mode\": \"cls\"}");
  EXPECT_FALSE(find()) << "a file in a folder below";
  keep();
  write("model/new.json", "");
  EXPECT_FALSE(find()) << "a file more";
  keep();
  fs::last_write_time(root_ / "model/config.json", fs::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_FALSE(find()) << "the time alone";
  keep();
  write("worker", "another binary");
  EXPECT_FALSE(find());
}

TEST_F(FactsCacheTest, a_folder_that_changes_while_it_is_read_is_asked_about_again) {
  const fs::path before = cache().file_of(module_);
  write("model/config.json", "{\"hidden_size\": 8}");
  cache().keep(before, facts_);
  EXPECT_FALSE(find());
}

TEST_F(FactsCacheTest, a_link_counts_as_the_file_that_it_leads_to) {
  write("blob", "one");
  fs::create_symlink(root_ / "blob", root_ / "model/model.safetensors");
  keep();
  EXPECT_TRUE(find());
  write("blob", "other");
  EXPECT_FALSE(find());
}

TEST_F(FactsCacheTest, what_cannot_be_read_or_written_is_as_if_it_were_not_there) {
  const FactsCache nowhere("/dev/null/proctor/facts", root_ / "worker"), none("", root_ / "worker");
  for (const FactsCache* cache : {&nowhere, &none}) {
    cache->keep(cache->file_of(module_), facts_);
    EXPECT_FALSE(cache->find(cache->file_of(module_)));
  }
  keep();
  for (const auto& file : fs::directory_iterator(root_ / "cache")) std::ofstream(file.path()) << "{\"torn\": ";
  EXPECT_FALSE(find());
  module_.path = (root_ / "missing").string();
  keep();
  EXPECT_FALSE(find());
}

}  // namespace
}  // namespace proctor
