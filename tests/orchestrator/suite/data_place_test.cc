// Where a task's data are found: files, folders of save_to_disk, the Hugging Face caches.
#include "orchestrator/suite/data_place.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace proctor {
namespace {

namespace fs = std::filesystem;

class DataPlaceTest : public testing::Test {
 protected:
  DataPlaceTest() {
    fs::create_directories(root_);
    setenv("HF_HOME", root_.c_str(), 1);
    unsetenv("HF_HUB_CACHE");
    unsetenv("HF_DATASETS_CACHE");
  }
  ~DataPlaceTest() override {
    unsetenv("HF_HOME");
    fs::remove_all(root_);
  }
  void write(const std::string& name, const std::string& text = "x") {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  /// The names below the root, or why there are none.
  std::string found(const std::string& text) {
    const DataPlace place = find_data(text, (root_ / "task.yaml").string());
    std::string names = place.why_none;
    for (const std::string& file : place.files)
      names += (names.empty() ? "" : " ") + fs::path(file).lexically_relative(root_).string();
    return names;
  }
  void refused(const std::string& text, const char* part) {
    EXPECT_NE(found(text).find(part), std::string::npos) << found(text);
  }
  fs::path root_ = fs::temp_directory_path() / ("proctor-place-" + std::to_string(::getpid()));
};

TEST_F(DataPlaceTest, files_lie_beside_the_task) {
  write("a.jsonl");
  write("odd#name.jsonl");
  EXPECT_EQ(found("a.jsonl"), "a.jsonl");
  EXPECT_EQ(found("odd#name.jsonl"), "odd#name.jsonl");
  refused("b.jsonl", "b.jsonl: no such data file");
  refused("a.jsonl#test", "a.jsonl: is a file, which has no splits");
}

TEST_F(DataPlaceTest, folders_of_save_to_disk_name_their_files) {
  const std::string state =
      R"({"_data_files": [{"filename": "data-00000-of-00002.arrow"}, {"filename": "data-00001-of-00002.arrow"}]})";
  for (const char* folder : {"one", "both/test"}) {
    write(std::string(folder) + "/state.json", state);
    for (const char* part : {"/data-00000-of-00002.arrow", "/data-00001-of-00002.arrow"})
      write(folder + std::string(part));
  }
  write("both/dataset_dict.json", R"({"splits": ["train", "test"]})");
  fs::create_directories(root_ / "plain");
  EXPECT_EQ(found("one"), "one/data-00000-of-00002.arrow one/data-00001-of-00002.arrow");
  EXPECT_EQ(found("both#test"), "both/test/data-00000-of-00002.arrow both/test/data-00001-of-00002.arrow");
  refused("both", "holds several splits (test, train); name one");
  refused("both#dev", "has no split 'dev'; there are test, train");
  refused("one#test", "holds one split, which has no name");
  refused("plain", "is a folder, and none that datasets.save_to_disk wrote");
  fs::remove(root_ / "one/data-00001-of-00002.arrow");
  refused("one", "data-00001-of-00002.arrow: is missing");
  write("one/state.json", R"({"_data_files": [{"filename": "../../a"}]})");
  refused("one", "names ../../a");
}

TEST_F(DataPlaceTest, what_load_dataset_prepared_is_found) {
  const std::string base = "datasets/Org___my_name2/main/0.0.0/";
  write(base + "aaa/my_name2-test.arrow");
  write(base + "aaa/my_name2-train-00000-of-00002.arrow");
  write(base + "aaa/my_name2-train-00001-of-00002.arrow");
  EXPECT_EQ(found("Org/MyName2#test"), base + "aaa/my_name2-test.arrow") << "the only configuration";
  EXPECT_EQ(found("Org/MyName2#main#train"),
            base + "aaa/my_name2-train-00000-of-00002.arrow " + base + "aaa/my_name2-train-00001-of-00002.arrow");
  write("datasets/Org___my_name2/other/0.0.0/bbb/my_name2-test.arrow");
  refused("Org/MyName2#test", "holds several configurations (main, other)");
  refused("Org/MyName2#other#dev", "huggingface-cli download --repo-type dataset Org/MyName2");
}

TEST_F(DataPlaceTest, snapshots_of_the_hub_are_found_by_header_or_by_name) {
  const std::string snapshot = "hub/datasets--org--set/snapshots/abc/";
  write("hub/datasets--org--set/refs/main", "abc");
  for (const char* file :
       {"easy/test-00000-of-00001.parquet", "easy/train.jsonl.gz", "hard/test.parquet", "contest.jsonl"})
    write(snapshot + file);
  EXPECT_EQ(found("org/set#easy#test"), snapshot + "easy/test-00000-of-00001.parquet");
  EXPECT_EQ(found("org/set#hard#test"), snapshot + "hard/test.parquet");
  EXPECT_EQ(found("org/set#easy#train"), snapshot + "easy/train.jsonl.gz");
  write(snapshot + "very_easy/test.parquet");
  EXPECT_EQ(found("org/set#easy#test"), snapshot + "easy/test-00000-of-00001.parquet") << "not very_easy";
  write("hub/datasets--org--bare/refs/main", "abc");
  write("hub/datasets--org--bare/snapshots/abc/input_data.jsonl");
  EXPECT_EQ(found("org/bare#train"), "hub/datasets--org--bare/snapshots/abc/input_data.jsonl") << "no split is named";
  refused("org/bare#test", "proctor downloads nothing");
  write(snapshot + "README.md",
        "---\nconfigs:\n- config_name: a\n  default: true\n  data_files:\n  - split: test\n    path: contest.*\n"
        "- config_name: b\n  data_files:\n  - split: test\n    path: [hard/*, easy/test-*]\n---\ntext\n");
  EXPECT_EQ(found("org/set#test"), snapshot + "contest.jsonl");
  EXPECT_EQ(found("org/set#b#test"), snapshot + "easy/test-00000-of-00001.parquet " + snapshot + "hard/test.parquet");
  refused("org/none#test", "proctor downloads nothing");
}

}  // namespace
}  // namespace proctor
