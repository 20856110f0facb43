// libproctor_mpi.so: MPI itself, point to point, never waiting: Isend with an outbox, Iprobe.
#include <mpi.h>

#include <deque>
#include <memory>

#include "orchestrator/ranks/mpi.h"
#include "sharding/protocol/error.h"

#define PROCTOR_MPI(call)                                                       \
  do {                                                                          \
    if (const int error_ = (call); error_ != MPI_SUCCESS)                       \
      throw proctor::EnvironmentError(std::string(#call ": ") + words(error_)); \
  } while (false)

namespace proctor {
namespace {

constexpr int kTag = 1;

std::string words(int error) {
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(error, text, &length);
  return {text, static_cast<std::size_t>(length)};
}

class Library final : public Mpi {
 public:
  std::string version() override {
    char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    if (MPI_Get_library_version(text, &length) != MPI_SUCCESS) return "does not tell its version";
    const std::string all(text, static_cast<std::size_t>(length));
    return all.substr(0, all.find_first_of(",\n"));
  }

  MpiWorld init(int& argc, char**& argv) override {
    MpiWorld world;
    int provided = 0;
    PROCTOR_MPI(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided));
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    PROCTOR_MPI(MPI_Comm_rank(MPI_COMM_WORLD, &world.rank));
    PROCTOR_MPI(MPI_Comm_size(MPI_COMM_WORLD, &world.size));
    MPI_Comm node = MPI_COMM_NULL;
    PROCTOR_MPI(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node));
    PROCTOR_MPI(MPI_Comm_size(node, &world.ranks_on_node));
    PROCTOR_MPI(MPI_Comm_rank(node, &world.node_rank));
    MPI_Comm_free(&node);
    return world;
  }

  void send(int rank, std::string bytes) override {
    auto sending = std::make_unique<Sending>();
    sending->bytes = std::move(bytes);
    PROCTOR_MPI(MPI_Isend(sending->bytes.data(), static_cast<int>(sending->bytes.size()), MPI_BYTE, rank, kTag,
                          MPI_COMM_WORLD, &sending->request));
    sending_.push_back(std::move(sending));
  }

  bool all_sent() override {
    while (!sending_.empty()) {
      int done = 0;
      PROCTOR_MPI(MPI_Test(&sending_.front()->request, &done, MPI_STATUS_IGNORE));
      if (!done) return false;
      sending_.pop_front();
    }
    return true;
  }

  std::optional<std::pair<int, std::string>> receive() override {
    int there = 0, bytes = 0;
    MPI_Status status;
    PROCTOR_MPI(MPI_Iprobe(MPI_ANY_SOURCE, kTag, MPI_COMM_WORLD, &there, &status));
    if (!there) return std::nullopt;
    PROCTOR_MPI(MPI_Get_count(&status, MPI_BYTE, &bytes));
    std::string message(static_cast<std::size_t>(bytes), '\0');
    PROCTOR_MPI(MPI_Recv(message.data(), bytes, MPI_BYTE, status.MPI_SOURCE, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE));
    return std::pair(status.MPI_SOURCE, std::move(message));
  }

  void finalize() override { MPI_Finalize(); }
  void abort(int code) override { MPI_Abort(MPI_COMM_WORLD, code); }

 private:
  struct Sending {
    std::string bytes;
    MPI_Request request = MPI_REQUEST_NULL;
  };
  std::deque<std::unique_ptr<Sending>> sending_;
};

}  // namespace
}  // namespace proctor

extern "C" proctor::Mpi* proctor_mpi() {
  static proctor::Library library;
  return &library;
}
