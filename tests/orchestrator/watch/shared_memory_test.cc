#include "orchestrator/watch/shared_memory.h"

#include <gtest/gtest.h>

#include <fstream>

#include "orchestrator/watch/process_tree.h"
#include "tests/orchestrator/support/little_process.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;
using Company = SharedMemory::Company;

class SharedMemoryTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_.path / name).string(); }
  void write(const std::string& name, std::size_t bytes = 3) const {
    std::ofstream(path(name)) << std::string(bytes, 'x');
  }
  std::vector<Process> tree(const LittleProcess& process) {
    processes_.walk();
    return find_tree(processes_, {read_process(process.pid())->id, "", {}});
  }
  /// Looks at the tree until the process has opened or mapped the entry, or has not any more.
  void note(SharedMemory& shared, const LittleProcess& process, const std::string& name) {
    EXPECT_TRUE(eventually([&] {
      shared.note(tree(process));
      return fs::exists(path(name + ".ready"));
    })) << name;
    shared.note(tree(process));
    fs::remove(path(name + ".ready"));
  }
  Names remove(SharedMemory& shared, Company company = Company::others, const std::set<ProcessId>& ended = {}) {
    processes_.walk();
    Names removed = shared.remove_left(processes_, ended, company);
    for (std::string& line : removed) line = line.substr(folder_.path.string().size() + 1);
    return removed;
  }
  /// A process that opens an entry of 5 bytes, and closes it after a line.
  LittleProcess opener(const std::string& name) const {
    return LittleProcess(shell("exec 3>" + path(name) + "; printf 12345 >&3; : >" + path(name + ".ready") +
                               "; read go; exec 3>&-; : >" + path(name + ".ready") + "; exec sleep 60"));
  }
  /// One that maps an entry of 4096 bytes and has it not open.
  LittleProcess mapper(const std::string& name) const {
    return LittleProcess(
        python("import ctypes, os, time\n"  // mmap.mmap() would keep it open
               "f = os.open('" +
               path(name) +
               "', os.O_RDWR | os.O_CREAT)\n"
               "os.ftruncate(f, 4096)\n"
               "mmap = ctypes.CDLL(None).mmap\n"
               "mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]\n"
               "mmap(None, 4096, 3, 1, f, 0)\n"  // read and write, shared
               "os.close(f)\n"
               "open('" +
               path(name) +
               ".ready', 'w')\n"
               "time.sleep(60)"));
  }
  const TemporaryFolder folder_{"shared"};
  ProcessTable processes_;
};

TEST_F(SharedMemoryTest, nothing_is_removed_where_nothing_is_the_guests) {
  write("before");
  SharedMemory shared(folder_.path.string());
  EXPECT_EQ(remove(shared), Names{});
  write("somebodys");
  EXPECT_EQ(remove(shared), Names{});
  EXPECT_TRUE(fs::exists(path("before")) && fs::exists(path("somebodys")));
}

TEST_F(SharedMemoryTest, what_the_tree_had_open_is_removed_when_nobody_has) {
  SharedMemory shared(folder_.path.string());
  const LittleProcess process = opener("a");
  note(shared, process, "a");
  EXPECT_EQ(remove(shared), Names{}) << "it is open";
  process.go_on();
  note(shared, process, "a");
  EXPECT_EQ(remove(shared), Names{"a (5 bytes)"});
  EXPECT_FALSE(fs::exists(path("a")));
  EXPECT_EQ(remove(shared), Names{});
}

TEST_F(SharedMemoryTest, what_the_tree_had_mapped_is_removed_when_it_has_ended) {
  SharedMemory shared(folder_.path.string());
  LittleProcess process = mapper("m");
  note(shared, process, "m");
  EXPECT_EQ(remove(shared), Names{}) << "it is mapped";
  const ProcessId id = read_process(process.pid())->id;
  EXPECT_EQ(remove(shared, Company::others, {id}), Names{"m (4096 bytes)"})
      << "a process that was killed holds nothing";
}

TEST_F(SharedMemoryTest, what_another_process_holds_stays) {
  SharedMemory shared(folder_.path.string());
  LittleProcess process = opener("a");
  note(shared, process, "a");
  LittleProcess other(shell("exec 3<" + path("a") + "; : >" + path("a.ready") + "; exec sleep 60"));
  EXPECT_TRUE(eventually([&] { return fs::exists(path("a.ready")); }));
  fs::remove(path("a.ready"));
  process.end();
  EXPECT_EQ(remove(shared), Names{});
  EXPECT_EQ(remove(shared, Company::none), Names{});
  other.end();
  EXPECT_EQ(remove(shared), Names{"a (5 bytes)"});
}

TEST_F(SharedMemoryTest, what_was_there_before_is_not_the_guests_even_if_it_is_opened) {
  write("a");
  SharedMemory shared(folder_.path.string());
  LittleProcess process = opener("a");
  note(shared, process, "a");
  process.end();
  EXPECT_EQ(remove(shared, Company::none), Names{});
}

TEST_F(SharedMemoryTest, a_name_that_holds_a_pid_of_the_tree_is_the_guests) {
  SharedMemory shared(folder_.path.string());
  const LittleProcess process({"sleep", "60"});
  shared.note(tree(process));
  const std::string pid = std::to_string(process.pid());
  for (const std::string& name : {"torch_" + pid + "_0", pid, "sem.loky-" + pid, "psm_" + pid + "af", "x" + pid + ".1",
                                  "1" + pid + "_2", pid + "0", std::string("torch_1_0")})
    write(name);
  EXPECT_EQ(remove(shared),
            (Names{pid + " (3 bytes)", "sem.loky-" + pid + " (3 bytes)", "torch_" + pid + "_0 (3 bytes)"}));
}

TEST_F(SharedMemoryTest, of_a_guest_alone_every_new_entry_that_nobody_holds_is_removed) {
  SharedMemory shared(folder_.path.string());
  write("psm_1", 1);
  EXPECT_EQ(remove(shared), Names{});
  EXPECT_EQ(remove(shared, Company::none), Names{"psm_1 (1 byte)"});
}

TEST_F(SharedMemoryTest, folders_links_and_odd_names_are_left_alone) {
  const TemporaryFolder outside("shared-outside");
  std::ofstream(outside.path / "file") << "x";
  SharedMemory shared(folder_.path.string());
  fs::create_directories(path("folder/with"));
  fs::create_symlink(outside.path / "file", path("link"));
  write("odd\nname");
  EXPECT_EQ(remove(shared, Company::none), Names{});
  EXPECT_TRUE(fs::exists(outside.path / "file"));
}

TEST_F(SharedMemoryTest, another_users_entries_are_left_alone) {
  SharedMemory shared(folder_.path.string());
  write("theirs");
  if (::chown(path("theirs").c_str(), 65534, 65534) != 0) GTEST_SKIP() << "only root gives files away";
  EXPECT_EQ(remove(shared, Company::none), Names{});
}

TEST_F(SharedMemoryTest, the_folder_may_be_given_by_a_link) {
  const TemporaryFolder links("shared-links");
  const fs::path link = links.path / "link";
  fs::create_directory_symlink(folder_.path, link);
  SharedMemory shared(link.string());
  LittleProcess process = mapper("m");
  note(shared, process, "m");
  EXPECT_EQ(remove(shared), Names{});
  process.end();
  EXPECT_EQ(remove(shared), Names{"m (4096 bytes)"});
}

TEST_F(SharedMemoryTest, a_folder_that_is_not_there_has_no_entries) {
  SharedMemory shared("/nowhere/at/all");
  const LittleProcess process({"sleep", "60"});
  shared.note(tree(process));
  EXPECT_EQ(shared.remove_left(processes_, {}, Company::none), Names{});
}

}  // namespace
}  // namespace proctor
