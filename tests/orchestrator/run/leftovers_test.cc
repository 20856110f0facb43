#include "orchestrator/run/leftovers.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

/// A directory in which modules a and b.1 answered the tasks t (scored) and r (requests), and a file of the user's.
class LeftoversTest : public testing::Test {
 protected:
  LeftoversTest() {
    for (const std::string name : {"results/a.json", "results/b.1.json", "samples/a/t.jsonl", "samples/b.1/t.jsonl",
                                   "responses/a/r.jsonl", "responses/b.1/r.jsonl", "manifest.json"}) {
      write(name);
      store_.put(kWrittenFile, name, "");
    }
    write("samples/b.1/mine.jsonl");
  }
  ~LeftoversTest() override { fs::remove_all(root_); }

  void write(const std::string& name) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << "{}\n";
  }
  Names files() const {
    Names names;
    for (const auto& entry : fs::recursive_directory_iterator(root_))
      if (entry.is_regular_file() && !entry.path().filename().string().starts_with("run.db"))
        names.push_back(fs::relative(entry.path(), root_).string());
    std::ranges::sort(names);
    return names;
  }
  static Work work_of(const Names& modules, const Names& tasks) {
    Work work;
    for (const std::string& name : tasks) {
      Task task;
      task.name = name;
      task.type = name == "r" ? "requests" : "multiple_choice";
      work.suite.tasks.push_back(task);
    }
    for (std::uint32_t m = 0; m < modules.size(); ++m) {
      work.suite.modules.emplace_back().name = modules[m];
      for (std::uint32_t t = 0; t < tasks.size(); ++t) work.cells.push_back({ModuleId{m}, TaskId{t}, {}, ""});
    }
    return work;
  }
  Names remove(const Work& work, GoneModules gone) { return remove_leftovers(directory_, work, store_, gone); }

  fs::path root_ = [] {
    const fs::path root = fs::temp_directory_path() / ("proctor-leftovers-" + std::to_string(::getpid()));
    fs::create_directories(root);
    return root;
  }();
  RunDirectory directory_{root_};
  RunStore store_{(root_ / "run.db").string()};
};

TEST_F(LeftoversTest, files_of_a_module_that_is_gone_stay_until_asked) {
  const Names all = files();
  const Work work = work_of({"a"}, {"t", "r"});
  EXPECT_EQ(remove(work, GoneModules::keep), Names{"b.1"});
  EXPECT_EQ(files(), all);
  EXPECT_EQ(remove(work, GoneModules::remove), Names{});
  EXPECT_EQ(files(), (Names{"manifest.json", "responses/a/r.jsonl", "results/a.json", "samples/a/t.jsonl",
                            "samples/b.1/mine.jsonl"}));
  EXPECT_EQ(remove(work, GoneModules::keep), Names{}) << "nothing is left of it";
}

TEST_F(LeftoversTest, a_task_that_is_gone_leaves_its_modules_results) {
  EXPECT_EQ(remove(work_of({"a", "b.1"}, {"r"}), GoneModules::keep), Names{});
  EXPECT_EQ(files(),
            (Names{"manifest.json", "responses/a/r.jsonl", "responses/b.1/r.jsonl", "samples/b.1/mine.jsonl"}));
}

TEST_F(LeftoversTest, nothing_is_removed_behind_a_link) {
  const fs::path elsewhere = root_.string() + "-elsewhere";
  fs::rename(root_ / "samples/b.1", elsewhere);
  fs::create_directory_symlink(elsewhere, root_ / "samples/b.1");
  EXPECT_EQ(remove(work_of({"a"}, {"t", "r"}), GoneModules::remove), Names{});
  EXPECT_TRUE(fs::exists(elsewhere / "t.jsonl"));
  fs::remove_all(elsewhere);
}

}  // namespace
}  // namespace proctor
