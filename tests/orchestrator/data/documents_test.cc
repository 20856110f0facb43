// What the files of a task's data give, and what is refused.
#include "orchestrator/data/documents.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <filesystem>
#include <fstream>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

class DocumentsTest : public testing::Test {
 protected:
  DocumentsTest() { fs::create_directories(root_); }
  ~DocumentsTest() override { fs::remove_all(root_); }
  void write(const std::string& file, const std::string& bytes) {
    std::ofstream(root_ / file, std::ios::binary) << bytes;
  }
  std::vector<Document> read_file(const std::string& file) {
    const std::string path = (root_ / file).string();
    return read_documents({&path, 1});
  }
  std::string refused(const std::string& file, const std::string& bytes) {
    write(file, bytes);
    try {
      (void)read_file(file);
    } catch (const InputError& error) {
      return error.what();
    }
    return "accepted";
  }
  static void has(const std::string& why, const char* part) { EXPECT_NE(why.find(part), std::string::npos) << why; }
  static std::string gzipped(const std::string& text) {
    std::string out(compressBound(text.size()) + 64, '\0');
    z_stream stream{};
    deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
  }
  static std::string zstandard(const std::string& text) {
    std::string out(ZSTD_compressBound(text.size()), '\0');
    out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
    return out;
  }
  fs::path root_ = fs::temp_directory_path() / ("proctor-data-" + std::to_string(::getpid()));
};

std::string many_lines() {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "{\"i\": " + std::to_string(i) + ", \"t\": \"line \u00e9\"}\n";
  return text;
}

TEST_F(DocumentsTest, packed_files_hold_what_was_packed) {
  write("a.jsonl", many_lines());
  write("a.jsonl.gz", gzipped(many_lines()) + gzipped("{\"i\": 20000}\n"));
  write("a.jsonl.zst", zstandard(many_lines()) + zstandard("{\"i\": 20000}\n"));
  const std::vector<Document> plain = read_file("a.jsonl");
  ASSERT_EQ(plain.size(), 20000u);
  for (const char* packed : {"a.jsonl.gz", "a.jsonl.zst"}) {
    const std::vector<Document> rows = read_file(packed);
    ASSERT_EQ(rows.size(), 20001u) << packed << ": two members, one behind the other";
    for (std::size_t i = 0; i < plain.size(); ++i) ASSERT_EQ(rows[i].row, plain[i].row);
    EXPECT_EQ(rows[19999].where(), (root_ / packed).string() + ":20000");
  }
  write("b.csv.gz", gzipped("\xEF\xBB\xBFq,b\n1,2\n"));
  EXPECT_EQ(read_file("b.csv.gz")[0].row["q"], "1");
}

TEST_F(DocumentsTest, damaged_and_misnamed_files_are_named) {
  const std::string gz = gzipped(many_lines()), zst = zstandard(many_lines());
  has(refused("a.jsonl.gz", gz.substr(0, gz.size() / 2)), "a.jsonl.gz: ends in the middle");
  has(refused("a.jsonl.zst", zst.substr(0, zst.size() / 2)), "a.jsonl.zst: ends in the middle");
  std::string damaged = gz;
  damaged[damaged.size() - 6] ^= 0x55;
  has(refused("a.jsonl.gz", damaged), "incorrect data check");
  has(refused("a.jsonl.gz", "{}\n"), "is named .gz and is not gzip data");
  has(refused("a.jsonl.zst", "{}\n"), "is named .zst and is not Zstandard data");
  has(refused("a.jsonl", gz), "is gzip data; its name must end in .gz");
  has(refused("a.jsonl", "PAR1...PAR1"), "is Parquet data; its name must end in .parquet");
  has(refused("a.jsonl", std::string("\xFF\xFE{\0}\0", 6)), "is UTF-16; write it as UTF-8");
  has(refused("a.jsonl", "{\"a\": \"\xE9\"}\n"), "a.jsonl:1: is not UTF-8");
  EXPECT_EQ(refused("a.jsonl", "{}"), "accepted");
  EXPECT_EQ(refused("empty.jsonl.gz", gzipped("")),
            (root_ / "empty.jsonl.gz").string() + ": holds no rows; each line is one JSON object");
}

TEST_F(DocumentsTest, json_is_an_array_of_rows_or_one_a_line) {
  write("a.json", "\n [ {\"a\": \"],{\\\"\"},\n\n{\"a\": [1, {\"b\": 2}]} ]\n\n");
  const std::vector<Document> rows = read_file("a.json");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].row["a"], "],{\"");
  EXPECT_EQ(rows[1].row["a"][1]["b"], 2);
  EXPECT_EQ(rows[1].where(), (root_ / "a.json").string() + ":4");
  write("b.json", "\n{\"a\": 1}\n{\"a\": 2}\n");
  ASSERT_EQ(read_file("b.json").size(), 2u);
  EXPECT_EQ(read_file("b.json")[1].number, 3u);
  has(refused("c.json", "[{\"a\": 1},\n{\"a\": 2}"), "c.json:2: the array is not closed");
  has(refused("c.json", "[{\"a\": 1},\n]"), "c.json:2: a comma without a row behind it");
  has(refused("c.json", "[,{}]"), "c.json:1: a comma without a row before it");
  has(refused("c.json", "[{}]\n{}"), "c.json:2: something stands behind the array");
  has(refused("c.json", "[1]"), "c.json:1: a row must be a JSON object");
  has(refused("c.json", "[]"), "holds no rows");
  has(refused("c.jsonl", "[{\"a\": 1}]\n"), "c.jsonl:1: a row must be a JSON object, and this begins a list");
}

TEST_F(DocumentsTest, numbers_that_json_has_not_are_named) {
  has(refused("a.jsonl", "{\"q\": \"NaN\"}\n{\"q\": \"x\", \"s\": NaN}\n"), "a.jsonl:2: holds NaN");
  has(refused("a.jsonl", "{\"s\": -Infinity}\n"), "holds Infinity");
  EXPECT_EQ(refused("a.jsonl", "{\"q\": \"NaN \\\" Infinity\"}\n"), "accepted") << "in a text";
}

TEST_F(DocumentsTest, several_files_are_one_split) {
  write("a.jsonl", "{\"a\": 1}\n");
  write("b.csv", "a\n2\n3\n");
  const std::vector<std::string> files = {(root_ / "a.jsonl").string(), (root_ / "b.csv").string()};
  const std::vector<Document> rows = read_documents(files);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[2].row["a"], "3");
  EXPECT_EQ(rows[2].where(), files[1] + ":3");
}

TEST_F(DocumentsTest, rows_that_would_be_misread_are_named) {
  has(refused("a.csv", "a,b,a\n1,2,3\n"), "a.csv:1: two columns are named 'a'");
  has(refused("a.csv", "a,b\n1,2\n\xff,2\n"), "a.csv:3: the row is not UTF-8");
  EXPECT_EQ(refused("a.csv", "\xEF\xBB\xBFq,b\n1,2\n"), "accepted");
  EXPECT_TRUE(read_file("a.csv")[0].row.contains("q")) << "without the byte order mark";
  has(refused("a.csv", "a,b\none\rtwo,3\n"), "a.csv:2: a carriage return stands within a field");
  EXPECT_EQ(refused("a.csv", "a,b\r\n\"one\rtwo\",3\r\n\r\n"), "accepted") << "quoted, and at the end of lines";
  EXPECT_EQ(read_file("a.csv")[0].row["a"], "one\rtwo");
  EXPECT_EQ(refused("a.tsv", "a\tb\n\"open\t\"closed\"\nsaid \"so\"\t\"\"\n"), "accepted") << "marks are text";
  EXPECT_EQ(read_file("a.tsv")[0].row["a"], "\"open");
  EXPECT_EQ(read_file("a.tsv")[0].row["b"], "\"closed\"");
  has(refused("a.tsv", "a\tb\n\"he \"\"said\"\"\"\t1\n"), "a.tsv:2: the field \"he \"\"said\"\"\" is quoted as in CSV");
  write("one.csv", "a\n\"\"\n\nx\n");
  EXPECT_EQ(read_file("one.csv").size(), 2u) << "a quoted empty field is a row, a blank line none";
  const std::string deep(60000, '[');
  has(refused("a.jsonl", "{\"a\": " + deep + std::string(60000, ']') + "}\n"), "a.jsonl:1: nested deeper than 256");
  EXPECT_EQ(refused("a.jsonl", "{\"a\": \"" + deep + "\\\"[\"}\n"), "accepted") << "brackets in a text";
}

}  // namespace
}  // namespace proctor
