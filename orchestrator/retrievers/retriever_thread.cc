#include "orchestrator/retrievers/retriever_thread.h"

#include <optional>

#include "orchestrator/retrievers/retriever.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

/// The retriever of the shard before, where the next one needs the same: an index is built once for a cell.
class Opened {
 public:
  Retriever& of(const RetrieverJob& job) {
    if (retriever_ && kind_ == job.kind && options_ == job.options && corpus_ == job.corpus) return *retriever_;
    retriever_.reset();
    kind_ = job.kind;
    options_ = job.options;
    corpus_ = job.corpus;
    retriever_ =
        open_retriever(kind_, options_, corpus_ ? std::span<const Passage>(*corpus_) : std::span<const Passage>());
    return *retriever_;
  }

 private:
  std::string kind_;
  nlohmann::json options_;
  std::shared_ptr<const std::vector<Passage>> corpus_;
  std::unique_ptr<Retriever> retriever_;
};

}  // namespace

RetrieverThread::~RetrieverThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  filled_.notify_one();
  thread_.join();
}

void RetrieverThread::put(RetrieverJob job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  filled_.notify_one();
}

std::vector<std::pair<ShardId, std::vector<Response>>> RetrieverThread::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(done_, {});
}

bool RetrieverThread::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void RetrieverThread::run() {
  Opened opened;
  while (true) {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    const RetrieverJob job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    std::vector<Response> responses(job.requests.size());
    try {
      Retriever& retriever = opened.of(job);
      for (std::size_t i = 0; i < job.requests.size(); ++i) {
        if (stopping()) return;
        try {
          responses[i].answer = RetrieveAnswer{retriever.retrieve(job.requests[i])};
        } catch (const Error& error) {
          responses[i].error = error.what();
        }
      }
    } catch (const std::exception& error) {  // no memory for an index, say: its requests fail by name
      for (Response& response : responses) response = {{}, job.kind + " cannot be computed: " + error.what()};
    }
    lock.lock();
    done_.emplace_back(job.shard, std::move(responses));
  }
}

}  // namespace proctor
