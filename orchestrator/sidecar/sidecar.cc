#include "orchestrator/sidecar/sidecar.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "orchestrator/base/spawn.h"
#include "sharding/protocol/error.h"

extern char** environ;

namespace proctor {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kStart{60};  // for Python to come up, from a slow file system
constexpr std::size_t kLongestAnswer = std::size_t{1} << 30;

std::array<Descriptor, 2> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw EnvironmentError(std::string("pipe: ") + std::strerror(errno));
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

/// Ours, with the folders before PYTHONPATH; nothing that changes how Python behaves.
std::vector<std::string> environment_with(const std::vector<std::string>& folders) {
  std::string path;
  std::vector<std::string> kept;
  for (const std::string& folder : folders) path += folder + ":";
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    if (text.starts_with("PYTHONPATH="))
      path += text.substr(11);
    else if (!text.starts_with("PYTHON"))
      kept.push_back(text);
  }
  if (!path.empty()) kept.push_back("PYTHONPATH=" + path);
  kept.emplace_back("PYTHONUTF8=1");
  return kept;
}

std::string whole_of(const Descriptor& file) {
  std::string text;
  std::array<char, 4096> buffer;
  lseek(file.value(), 0, SEEK_SET);
  for (ssize_t n = 0; (n = ::read(file.value(), buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(n));
  return text;
}

std::string last_line(std::string text) {
  text.erase(text.find_last_not_of("\n ") + 1);
  return text.substr(text.rfind('\n') + 1);
}

}  // namespace

Sidecar::Sidecar(PythonPlace place, const std::string& what, const std::string& module) : place_(std::move(place)) {
  signal(SIGPIPE, SIG_IGN);  // where it has died, its end is read
  std::array<Descriptor, 2> down = make_pipe(), up = make_pipe();
  errors_ = Descriptor(memfd_create("proctor-sidecar", MFD_CLOEXEC));
  if (errors_.value() < 0) throw EnvironmentError(std::string("memfd_create: ") + std::strerror(errno));
  FileActions files;
  files.copy(down[0].value(), 0);
  files.copy(up[1].value(), 1);
  files.copy(errors_.value(), 2);
  try {
    child_ = std::make_unique<EndsWithUs>([&] {
      return spawn({place_.program, "-m", module, "--parent", std::to_string(getpid())},
                   environment_with(place_.folders), files, SignalsOfChild::free);
    });
  } catch (const EnvironmentError& error) {
    throw EnvironmentError(what + ": needs Python: " + error.what() + " (" + place_.told_by +
                           "); set PROCTOR_PYTHON, or machine.python, to one");
  }
  to_ = std::move(down[1]);
  from_ = std::move(up[0]);
  down[0] = Descriptor();
  up[1] = Descriptor();
  fcntl(to_.value(), F_SETFL, O_NONBLOCK);
  try {
    (void)ask({{"hello", 1}}, "the sidecar", kStart);
  } catch (const Error& error) {
    const std::string said = last_line(whole_of(errors_));
    end();
    throw EnvironmentError(what + ": needs Python, and " + who() + " says: " +
                           (said.empty() ? std::string(error.what()) : said) + "; set PROCTOR_PYTHON to another");
  }
}

Sidecar::~Sidecar() { end(); }

void Sidecar::end() {
  if (!child_) return;
  to_ = Descriptor();
  ::kill(-child_->pid(), SIGKILL);
  int status = 0;
  waitpid(child_->pid(), &status, 0);
  child_.reset();
}

Sidecar::Json Sidecar::ask(const Json& request, const std::string& what, std::chrono::duration<double> deadline) {
  const std::string line = exchange(request.dump() + "\n", what, deadline);
  Json answer = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object()) throw EnvironmentError(what + ": the sidecar's answer cannot be read");
  if (answer.contains("missing")) {
    const std::string package = answer["missing"].get<std::string>();
    throw EnvironmentError(what + ": needs Python's " + package.substr(0, package.find('>')) + ", and " + who() +
                           " says: " + answer.at("error").get<std::string>() + "; install it there (pip install '" +
                           package + "'), or set PROCTOR_PYTHON to another");
  }
  if (answer.contains("error")) throw InputError(what + ": " + answer["error"].get<std::string>());
  return answer;
}

std::string Sidecar::exchange(const std::string& line, const std::string& what,
                              std::chrono::duration<double> deadline) {
  if (!child_) throw EnvironmentError(what + ": the sidecar has ended");
  const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(deadline);
  std::size_t written = 0;
  std::array<char, 1 << 16> buffer;
  for (;;) {
    if (const auto end = rest_.find('\n'); end != std::string::npos) {
      std::string answer = rest_.substr(0, end);
      rest_.erase(0, end + 1);
      return answer;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0 || rest_.size() > kLongestAnswer) {
      end();
      char seconds[32];
      std::snprintf(seconds, sizeof seconds, "%g", deadline.count());
      throw InputError(what + ": gave nothing for " + seconds + " s, so it was ended; does it loop without end?");
    }
    std::array<pollfd, 2> ready = {{{from_.value(), POLLIN, 0}, {to_.value(), POLLOUT, 0}}};
    ::poll(ready.data(), written < line.size() ? 2 : 1, static_cast<int>(std::min<std::int64_t>(left.count(), 1000)));
    if (written < line.size() && ready[1].revents) {
      const ssize_t n = ::write(to_.value(), line.data() + written, line.size() - written);
      if (n > 0) written += static_cast<std::size_t>(n);
      if (n < 0 && errno == EPIPE) written = line.size();  // its end is read below
    }
    if (!ready[0].revents) continue;
    const ssize_t n = ::read(from_.value(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n > 0) {
      rest_.append(buffer.data(), static_cast<std::size_t>(n));
      continue;
    }
    const std::string said = last_line(whole_of(errors_));
    end();
    throw EnvironmentError(what + ": the sidecar ended" + (said.empty() ? "" : ": " + said));
  }
}

Sidecar::Json LazySidecar::ask(const Sidecar::Json& request, const std::string& what,
                               std::chrono::duration<double> deadline) {
  const std::lock_guard lock(mutex_);
  if (!sidecar_ || sidecar_->has_ended()) sidecar_ = std::make_unique<Sidecar>(find_python(python_), what);
  return sidecar_->ask(request, what, deadline);
}

}  // namespace proctor
