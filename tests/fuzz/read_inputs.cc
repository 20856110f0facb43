// Reads users' files as the commands do, many in one process, for tools/fuzz_inputs. A line in: kind, tab, path.
//   suite FILE    the suite with its tasks and rows, as far as a run's start goes without its models' weights
//   model FOLDER  configuration, weight headers and tokenizer, and a text through it
//   run FOLDER    every view of a run directory
// A line out: "ok", or the fault and the message ("input: FILE: why") with control characters as spaces.
#include <iostream>
#include <sstream>
#include <string>

#include "orchestrator/commands/show.h"
#include "orchestrator/planning/forecast.h"
#include "orchestrator/report/plan_report.h"
#include "orchestrator/suite/suite_file.h"
#include "sharding/protocol/error.h"
#include "tests/orchestrator/support/fake_facts.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/checkpoint/text_codec.h"

namespace proctor {
namespace {

void read_a_suite(const std::string& path) {
  FakeFacts facts;
  const Work work = prepare_work(read_suite(path, {}).suite, 20, facts);
  const Forecast forecast(work, {"cpu", {}});
  (void)forecast.cells();
}

void read_a_model(const std::string& path) {
  const ModelFolder folder = read_model_folder(path);
  (void)check_model(folder);
  TextCodec codec(folder, std::nullopt);
  (void)codec.decode(codec.encode("Hello  world, it's 2024!\n\xC3\xA9\xF0\x9F\x98\x80<s>"));
}

void read_a_run(const std::string& path) {
  std::ostringstream out;
  for (int view = 0; view < 4; ++view) try {
      show({path, view == 1, view == 2, view == 3, "", ""}, out);
    } catch (const Error& error) {
      if (view == 3 || error.fault() == Fault::internal) throw;
    }
}

std::string answer(const std::string& kind, const std::string& path) {
  try {
    (kind == "suite" ? read_a_suite : kind == "model" ? read_a_model : read_a_run)(path);
    return "ok";
  } catch (const Error& error) {
    return to_string(error.fault()) + (": " + std::string(error.what()));
  } catch (const std::exception& error) {
    return std::string("not an Error: ") + error.what();
  }
}

}  // namespace
}  // namespace proctor

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto tab = line.find('\t');
    std::string said = proctor::answer(line.substr(0, tab), line.substr(tab + 1));
    for (char& c : said)
      if (static_cast<unsigned char>(c) < ' ') c = ' ';
    std::cout << said << std::endl;
  }
}
