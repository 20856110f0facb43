#include "orchestrator/planning/facts_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

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

  fs::path root_ = fs::temp_directory_path() / ("proctor-facts-" + std::to_string(::getpid()));
  Module module_;
  ModelFacts facts_;
};

TEST_F(FactsCacheTest, an_unchanged_folder_is_known_from_start_to_start) {
  EXPECT_FALSE(cache().find(module_));
  cache().keep(module_, facts_);
  ASSERT_TRUE(cache().find(module_));
  EXPECT_EQ(nlohmann::json(*cache().find(module_)), nlohmann::json(facts_));
  module_.name = "another name of the same";
  EXPECT_TRUE(cache().find(module_));
}

TEST_F(FactsCacheTest, whatever_changes_in_the_folder_the_module_or_the_worker_is_asked_again) {
  cache().keep(module_, facts_);
  Module longer = module_;
  longer.max_length = 1024;
  EXPECT_FALSE(cache().find(longer));
  write("model/1_Pooling/config.json", "{\"pooling_mode\": \"cls\"}");
  EXPECT_FALSE(cache().find(module_)) << "a file in a folder below";
  cache().keep(module_, facts_);
  write("model/new.json", "");
  EXPECT_FALSE(cache().find(module_)) << "a file more";
  cache().keep(module_, facts_);
  fs::last_write_time(root_ / "model/config.json", fs::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_FALSE(cache().find(module_)) << "the time alone";
  cache().keep(module_, facts_);
  write("worker", "another binary");
  EXPECT_FALSE(cache().find(module_));
}

TEST_F(FactsCacheTest, a_link_counts_as_the_file_that_it_leads_to) {
  write("blob", "one");
  fs::create_symlink(root_ / "blob", root_ / "model/model.safetensors");
  cache().keep(module_, facts_);
  EXPECT_TRUE(cache().find(module_));
  write("blob", "other");
  EXPECT_FALSE(cache().find(module_));
}

TEST_F(FactsCacheTest, what_cannot_be_read_or_written_is_as_if_it_were_not_there) {
  const FactsCache nowhere("/dev/null/proctor/facts", root_ / "worker"), none("", root_ / "worker");
  for (const FactsCache* cache : {&nowhere, &none}) {
    cache->keep(module_, facts_);
    EXPECT_FALSE(cache->find(module_));
  }
  cache().keep(module_, facts_);
  for (const auto& file : fs::directory_iterator(root_ / "cache")) std::ofstream(file.path()) << "{\"torn\": ";
  EXPECT_FALSE(cache().find(module_));
  module_.path = (root_ / "missing").string();
  cache().keep(module_, facts_);
  EXPECT_FALSE(cache().find(module_));
}

}  // namespace
}  // namespace proctor
