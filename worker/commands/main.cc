// proctor-worker: `serve` is what agents start; check, probe and tokenize are for people and for the orchestrator.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "sharding/protocol/error.h"
#include "sharding/protocol/facts_json.h"
#include "sharding/protocol/module_json.h"
#include "sharding/protocol/standard_streams.h"
#include "worker/base/instruction_set.h"
#include "worker/checkpoint/explain.h"
#include "worker/checkpoint/families.h"
#include "worker/checkpoint/image_settings.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/checkpoint/text_codec.h"
#include "worker/commands/tokenize_command.h"
#include "worker/device/cpu_speed.h"
#include "worker/device/probe.h"
#include "worker/images/decode.h"
#include "worker/kinds/kinds.h"
#include "worker/kinds/options.h"
#include "worker/visit/worker.h"

namespace proctor {
namespace {

constexpr const char* kHelp =
    "proctor-worker: computes for proctor; `proctor run` starts it\n"
    "\n"
    "  proctor-worker check FOLDER [--module JSON]\n"
    "                                          a model folder's facts as JSON, or why it, or that use of it, is "
    "refused;\n"
    "                                          reads no weights\n"
    "  proctor-worker check --each JSON...     the same of each module, a line each\n"
    "  proctor-worker check FOLDER --explain   what was understood from which key of config.json, as text\n"
    "  proctor-worker families                 the architectures that are read, a line each\n"
    "  proctor-worker probe [--device D]       this machine's devices and libraries as JSON; D: auto, cpu or cuda; "
    "--speed:\n"
    "                                          what a CPU thread does in matrix products, too\n"
    "  proctor-worker tokenize FOLDER [--no-special] [--types] [--decode [--keep-special]]\n"
    "                                          JSON lines in (a string, a pair, or ids with --decode), JSON lines out\n"
    "\n"
    "example: echo '\"The capital of France\"' | proctor-worker tokenize models/smollm2-135m-instruct\n";

DeviceChoice device_choice(const std::string& name) {
  if (name == "auto") return DeviceChoice::automatic;
  if (name == "cpu") return DeviceChoice::cpu;
  if (name == "cuda") return DeviceChoice::cuda;
  throw UsageError("--device " + name + ": expected auto, cpu or cuda");
}

using Arguments = std::vector<std::string>;

/// Takes `--name VALUE` out of the arguments.
std::string take_option(Arguments& arguments, const std::string& name, const std::string& fallback) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] != name) continue;
    if (i + 1 == arguments.size()) throw UsageError(name + " needs a value");
    const std::string value = arguments[i + 1];
    arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(i),
                    arguments.begin() + static_cast<std::ptrdiff_t>(i) + 2);
    return value;
  }
  return fallback;
}

bool take_flag(Arguments& arguments, const std::string& name) {
  for (std::size_t i = 0; i < arguments.size(); ++i)
    if (arguments[i] == name) return arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(i)), true;
  return false;
}

void refuse_rest(const Arguments& arguments, std::size_t expected) {
  if (arguments.size() > expected)
    throw UsageError("'" + arguments[expected] + "' is not understood; see proctor-worker --help");
  if (arguments.size() < expected) throw UsageError("a FOLDER is missing; see proctor-worker --help");
}

/// A child leaves with its agent, is killed first when memory runs out, and hears of stopping over its socket only.
void become_child(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);
  for (int number : {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP, SIGPIPE, SIGXFSZ}) signal(number, SIG_IGN);
  std::ofstream("/proc/self/oom_score_adj") << 800;
}

int serve_command(Arguments arguments) {
  become_child(std::stoi(take_option(arguments, "--parent", "0")));
  WorkerOptions options;
  const int descriptor = std::stoi(take_option(arguments, "--fd", "3"));
  options.device = device_choice(take_option(arguments, "--device", "auto"));
  options.device_index = std::stoi(take_option(arguments, "--index", "0"));
  options.cpu_threads = std::stoi(take_option(arguments, "--threads", "1"));
  options.memory_limit_bytes = std::stoull(take_option(arguments, "--memory-limit", "0"));
  refuse_rest(arguments, 0);
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  return serve(Channel(descriptor), options);
}

Module module_from(const std::string& json) {
  try {
    return nlohmann::json::parse(json).get<Module>();
  } catch (const nlohmann::json::exception& error) {
    throw UsageError(std::string("--module: ") + error.what() +
                     R"(; expected, for example, {"name": "m", "kind": "generator", "path": "FOLDER", )" +
                     R"("dtype": "auto", "tensor_parallel": 1})");
  }
}

/// Its kind may refuse it, and says its max_length; of a kind that cannot use the model the facts tell.
void check_module(const ModelFolder& folder, ModelFacts& facts, TextCodec& codec, const Module& module) {
  const Kind& kind = find_kind(module.kind);
  if (std::ranges::find(facts.kinds, kind.name) != facts.kinds.end())
    facts.max_length = kind.check(folder, codec, module);
}

ModelFacts check_folder(const std::string& path, const std::optional<Module>& module) {
  const ModelFolder folder = read_model_folder(path);
  ModelFacts facts = check_model(folder);
  TextCodec codec(folder, std::nullopt);  // a tokenizer that cannot be read is found before anything starts
  if (module) check_module(folder, facts, codec, *module);
  if (folder.vision) {
    const ImageProcessor processor = image_processor_of(folder, module ? module->image : ImageOptions());
    facts.vision = processor.facts;
    facts.vision.max_length = row_limit_with_images(folder, module.value_or(Module{}));
    facts.image_processor = image_processor_of(folder, ImageOptions()).fast ? "fast" : "slow";
  }
  return facts;
}

std::string message_of_path(const std::filesystem::filesystem_error& error) {
  return error.path1().string() + ": " + error.code().message();
}

/// A line of `check --each`: {"facts": ...}, or {"status": the exit code of a check of it alone, "error": text}.
nlohmann::json check_one(const Module& module) {
  try {
    return {{"facts", check_folder(module.path, module)}};
  } catch (const Error& error) {
    return {{"status", exit_code(error.fault())}, {"error", error.what()}};
  } catch (const std::filesystem::filesystem_error& error) {
    return {{"status", exit_code(Fault::input)}, {"error", message_of_path(error)}};
  } catch (const std::exception& error) {
    return {{"status", 1}, {"error", std::string("internal error: ") + error.what()}};
  }
}

int run(Arguments arguments) {
  if (arguments.empty() || take_flag(arguments, "--help") || arguments[0] == "help") {
    std::cout << kHelp;
    return 0;
  }
  const std::string command = arguments[0];
  arguments.erase(arguments.begin());
  if (command == "serve") return serve_command(std::move(arguments));
  if (command == "probe") {
    const DeviceChoice choice = device_choice(take_option(arguments, "--device", "auto"));
    const bool speed = take_flag(arguments, "--speed");
    refuse_rest(arguments, 0);
    DeviceFacts facts = probe(choice);
    if (speed) measure_speed(facts);
    facts.image_decoders = decoder_versions();
    std::cout << nlohmann::json(facts).dump(2) << "\n";
    return 0;
  }
  if (command == "check" && take_flag(arguments, "--each")) {
    for (const std::string& module : arguments) std::cout << check_one(module_from(module)).dump() << std::endl;
    return 0;
  }
  if (command == "families") {
    refuse_rest(arguments, 0);
    for (const auto& [kind, name] : architectures()) std::cout << kind << " " << name << "\n";
    return 0;
  }
  if (command == "check" && take_flag(arguments, "--explain")) {
    refuse_rest(arguments, 1);
    std::cout << explanation(read_model_folder(arguments[0]), check_folder(arguments[0], std::nullopt));
    return 0;
  }
  if (command == "check") {
    const std::string module = take_option(arguments, "--module", "");
    refuse_rest(arguments, 1);
    std::cout << nlohmann::json(
                     check_folder(arguments[0], module.empty() ? std::nullopt : std::optional(module_from(module))))
                     .dump(2)
              << "\n";
    return 0;
  }
  if (command == "tokenize") {
    TokenizeOptions options;
    options.no_special = take_flag(arguments, "--no-special");
    options.types = take_flag(arguments, "--types");
    options.decode = take_flag(arguments, "--decode");
    options.keep_special = take_flag(arguments, "--keep-special");
    refuse_rest(arguments, 1);
    tokenize_lines(arguments[0], options, std::cin, std::cout);
    return 0;
  }
  throw UsageError("command '" + command + "' is not known; see proctor-worker --help");
}

}  // namespace
}  // namespace proctor

int main(int argc, char** argv) {
  proctor::hold_standard_streams();
  try {
    proctor::limit_libraries_to_test_isa();
    return proctor::run({argv + 1, argv + argc});
  } catch (const proctor::Error& error) {
    std::fprintf(stderr, "proctor-worker: %s\n", error.what());
    return proctor::exit_code(error.fault());
  } catch (const std::filesystem::filesystem_error& error) {
    std::fprintf(stderr, "proctor-worker: %s\n", proctor::message_of_path(error).c_str());
    return proctor::exit_code(proctor::Fault::input);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "proctor-worker: internal error: %s\n", error.what());
    return 1;
  }
}
