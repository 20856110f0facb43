// A guest without a library, to show what the protocol needs: the toy engine's answers to loglikelihood and
// generate_until (toy_engine.py), one request a unit, and `check`. docs/engine-protocol.md describes every message.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace {

using Bytes = std::string;

struct Value {  // of MessagePack; what is not there is 0 or empty
  std::int64_t number = 0;
  Bytes text = {};
  std::vector<Value> list = {};
  std::map<Bytes, Value> map = {};
  const Value& operator[](const char* key) const {
    static const Value none;
    return map.count(key) ? map.at(key) : none;
  }
};

struct Reader {
  const unsigned char* at;
  std::uint64_t whole(int bytes) {  // big-endian
    std::uint64_t value = 0;
    while (bytes-- > 0) value = value << 8 | *at++;
    return value;
  }
  Value text(std::uint64_t bytes) { return at += bytes, Value{0, Bytes(at - bytes, at)}; }
  Value list(std::uint64_t size, bool is_map) {
    Value value;
    for (; size > 0; --size) {
      const Bytes key = is_map ? read().text : "";
      (is_map ? value.map[key] : value.list.emplace_back()) = read();
    }
    return value;
  }
  Value read() {
    const int tag = *at++;
    if (tag < 0x80) return Value{tag};
    if (tag < 0xa0) return list(tag & 15, tag < 0x90);
    if (tag < 0xc0) return text(tag & 31);
    if (tag < 0xc4) return Value{tag == 0xc3};                                         // null, false, true
    if (tag == 0xca || tag == 0xcb) return at += tag == 0xca ? 4 : 8, Value();         // floats: none is needed here
    if (tag >= 0xcc && tag < 0xd4) return Value{std::int64_t(whole(1 << (tag & 3)))};  // integers: none is negative
    if (tag >= 0xd9 && tag < 0xdc) return text(whole(1 << (tag - 0xd9)));
    if (tag >= 0xdc) return list(whole(tag % 2 ? 4 : 2), tag >= 0xde);
    std::exit(1);
  }
};

Bytes coded(int tag, std::uint64_t value = 0, int bytes = 0) {
  Bytes out(1, static_cast<char>(tag));
  while (bytes-- > 0) out += static_cast<char>(value >> 8 * bytes);
  return out;
}
Bytes whole(std::int64_t value) {
  return value >= 0 && value < 128 ? coded(static_cast<int>(value)) : coded(0xd3, static_cast<std::uint64_t>(value), 8);
}
Bytes text(const Bytes& value) {
  return (value.size() < 32 ? coded(0xa0 | static_cast<int>(value.size())) : coded(0xdb, value.size(), 4)) + value;
}
Bytes truth(bool value) { return coded(value ? 0xc3 : 0xc2); }
Bytes real(double value) {
  std::uint64_t bits;
  std::memcpy(&bits, &value, 8);
  return coded(0xcb, bits, 8);
}
Bytes map(const std::vector<std::pair<const char*, Bytes>>& fields) {
  Bytes out = coded(0xdf, fields.size(), 4);
  for (const auto& [key, value] : fields) out += text(key) + value;
  return out;
}

int socket_fd = 3;

bool receive(void* to, std::size_t size) {
  for (ssize_t n; size > 0; size -= n, to = static_cast<char*>(to) + n)
    if ((n = read(socket_fd, to, size)) <= 0) return false;
  return true;
}

void send(int kind, const Bytes& body) {
  const Bytes payload = map({{"b", body}, {"t", whole(kind)}});
  const auto size = static_cast<std::uint32_t>(payload.size());  // this machine is little-endian, too
  const Bytes frame = Bytes(reinterpret_cast<const char*>(&size), 4) + payload;
  ssize_t n;
  for (std::size_t sent = 0; sent < frame.size(); sent += n)
    if ((n = write(socket_fd, frame.data() + sent, frame.size() - sent)) <= 0) std::exit(0);
}

Bytes tokens_of(const Bytes& value) { return whole(std::max<std::int64_t>(1, value.size() / 4)); }

Bytes answer(const Value& request) {
  const std::vector<Value>& parts = request["parts"].list;
  Bytes joined = parts[0].text;
  for (std::size_t i = 1; i < parts.size(); ++i) joined += '\0' + parts[i].text;
  std::uint32_t crc = ~0u;
  for (const unsigned char byte : joined)
    for (int bit = (crc ^= byte, 0); bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  crc = ~crc;
  const Bytes& type = request["ask"]["type"].text;
  if (type == "loglikelihood")
    return map({{"loglikelihood", map({{"loglikelihood", real(-(crc % 100000 / 1000.0))},
                                       {"is_greedy", truth(crc % 2 == 0)},
                                       {"tokens", tokens_of(parts.back().text)},
                                       {"truncated", whole(0)}})}});
  if (type != "generate_until") return coded(0xc0);
  joined.erase(joined.find_last_not_of(" \n\t") + 1);
  char digits[9];
  std::snprintf(digits, sizeof digits, "%08x", crc);
  Bytes made = " " + joined.substr(joined.find_last_of(" \n\t") + 1) + " " + digits;
  made = made.substr(0, 4 * request["ask"]["max_gen_toks"].number);
  for (const Value& end : request["ask"]["until"].list) made = made.substr(0, made.find(end.text));
  return map({{"generate_until", map({{"text", text(made)}, {"tokens", tokens_of(made)}, {"truncated", whole(0)}})}});
}

void handle(std::int64_t kind, const Value& body) {
  static std::int64_t announced = 0;
  static Value ahead;  // the requests of the shard that follows
  const auto visit = std::make_pair("visit", whole(body["visit"].number));
  const auto announce = [&](const char* unit, std::int64_t request) {
    send(1, map({visit,
                 {"unit", text(unit)},
                 {"counter", whole(++announced)},
                 {"batch", whole(request)},
                 {"request", whole(request)}}));
  };
  if (kind == 1) {  // OpenVisit
    announce("load", -1);
    send(4, map({visit, {"load_s", real(0)}}));
  } else if (kind == 3) {  // RunShard
    const std::vector<Value> requests = (body["requests"].list.empty() ? ahead : body["requests"]).list;
    ahead = body["next"];
    Bytes responses = coded(0xdd, requests.size(), 4);
    for (std::int64_t i = 0; i < std::int64_t(requests.size()); ++i) {
      bool run = true;
      for (const Value& aside : body["set_aside"].list) run = run && aside.number != i;
      if (run) announce("batch", i);
      responses += map({{"answer", run ? answer(requests[i]) : coded(0xc0)}, {"error", text("")}});
    }
    send(6, map({visit,
                 {"shard", whole(body["shard"].number)},
                 {"attempt", whole(body["attempt"].number)},
                 {"responses", responses},
                 {"tokens", whole(0)},
                 {"seconds", real(0)}}));
  } else if (kind == 4) {  // CloseVisit
    send(8, map({visit, {"ok", truth(true)}, {"message", text("")}}));
  } else if (kind == 5 || kind == 6) {  // TearDown, AbortVisit
    send(9, map({visit, {"row", map({})}}));
  }
}

}  // namespace

int main(int count, char** arguments) {
  const Bytes command = count > 1 ? arguments[1] : "";
  const char* engine =
      R"({"name": "toy_guest", "protocol": 1, "versions": {}, "promises": ["pure"], "code_hash": "1", )"
      R"("answers": ["loglikelihood", "generate_until"], "kinds": ["generator"], "environment": {}})";
  if (command == "probe") return std::puts(engine) < 0;
  if (command == "check")
    return std::printf(R"({"kinds": ["generator"], "shares_beginnings": false, "engine": %s})"
                       "\n",
                       engine) < 0;
  for (int i = 2; i + 1 < count; i += 2)
    if (arguments[i] == Bytes("--fd")) socket_fd = std::atoi(arguments[i + 1]);
  fcntl(socket_fd, F_SETFD, FD_CLOEXEC);
  send(0, map({{"pid", whole(getpid())}, {"facts", map({{"kind", text("cpu")}})}}));
  for (std::uint32_t size; receive(&size, sizeof size);) {
    std::vector<unsigned char> payload(size);
    if (!receive(payload.data(), size)) break;
    const Value message = Reader{payload.data()}.read();
    if (message["t"].number == 7) break;  // Leave
    handle(message["t"].number, message["b"]);
  }
}
