// A worker that computes nothing: it keeps the workers' protocol (sharding/protocol/message.h) and answers every shard
// at once, from a hash of its texts, so that what is measured is rank 0. Takes proctor-worker's place in a folder of
// tools/measure_scale.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "sharding/protocol/channel.h"
#include "sharding/protocol/facts_json.h"
#include "sharding/protocol/message.h"

namespace proctor {
namespace {

ModelFacts facts() {
  ModelFacts facts;
  facts.architecture = "ToyForCausalLM";
  facts.checkpoint_dtype = "float32";
  facts.parameters = 100'000'000;
  facts.weight_bytes = 4 * facts.parameters;
  facts.layers = 12, facts.hidden = 768, facts.heads = facts.kv_heads = 12, facts.head_dim = 64;
  facts.intermediate = 3072, facts.vocabulary = 32000, facts.max_length = 2048;
  facts.model_hash = "toy";
  return facts;
}

DeviceFacts device() {
  DeviceFacts device;
  device.bytes = std::uint64_t{16} << 30;
  device.instruction_set = device.torch_version = device.numerics = "toy";
  return device;
}

Response answer(const Request& request) {
  std::size_t hash = 0;
  for (const Part& part : request.parts) hash = hash * 31 + std::hash<std::string>()(text_of(part));
  const double likely = -static_cast<double>(hash % 1000003) / 1e5;
  if (std::holds_alternative<LoglikelihoodRolling>(request.ask)) return {RollingAnswer{likely, 10}, ""};
  if (std::holds_alternative<Generate>(request.ask)) return {GenerateAnswer{std::to_string(hash % 10), 1, {}, 0}, ""};
  return {LoglikelihoodAnswer{likely, hash % 3 == 0, 1, 0}, ""};
}

class Toy {
 public:
  explicit Toy(Channel& channel) : channel_(channel) { say(WorkerReady{getpid(), device()}); }

  void on(const GangMemory&) {}
  void on(const OpenVisit& order) { say(VisitOpened{order.visit, 1e-3}); }
  void on(const JoinGang&) {}
  void on(const RunShard& order) {
    if (!order.requests.empty()) requests_ = order.requests;
    ShardAnswered answered{order.visit, order.shard, order.attempt, {}, requests_.size(), 1e-3};
    for (const Request& request : requests_) answered.responses.push_back(answer(request));
    say(answered);
    requests_ = order.next;
  }
  void on(const CloseVisit& order) { say(Quiesced{order.visit, true, ""}); }
  void on(const TearDown& order) { say(VisitClosed{order.visit, {}}); }
  void on(const AbortVisit& order) { say(VisitClosed{order.visit, {}}); }
  void on(const Leave&) { _exit(0); }

 private:
  void say(const WorkerReport& report) {
    if (!channel_.send(encode(report))) _exit(0);
  }
  Channel& channel_;
  std::vector<Request> requests_;  // of the shard in hand, then of the one that probably follows
};

int serve(int descriptor) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int number : {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP, SIGPIPE}) signal(number, SIG_IGN);
  Channel channel(descriptor);
  Toy toy(channel);
  while (const auto frame = channel.receive())
    std::visit([&](const auto& order) { toy.on(order); }, decode_worker_order(*frame));
  return 0;
}

}  // namespace
}  // namespace proctor

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto value_of = [&](const std::string& name) {
    for (std::size_t i = 0; i + 1 < arguments.size(); ++i)
      if (arguments[i] == name) return arguments[i + 1];
    return std::string();
  };
  const std::string command = arguments.empty() ? "" : arguments[0];
  if (command == "serve") return proctor::serve(std::stoi(value_of("--fd")));
  if (command == "probe") std::cout << nlohmann::json(proctor::device()) << "\n";
  if (command != "check") return command == "probe" ? 0 : 2;
  if (arguments.at(1) != "--each") std::cout << nlohmann::json(proctor::facts()) << "\n";
  for (std::size_t i = 2; arguments.at(1) == "--each" && i < arguments.size(); ++i)
    std::cout << nlohmann::json{{"facts", proctor::facts()}} << "\n";
  return 0;
}
