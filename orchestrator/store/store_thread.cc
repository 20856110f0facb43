#include "orchestrator/store/store_thread.h"

#include <utility>

namespace proctor {

using Clock = std::chrono::steady_clock;

void StoreThread::put(StoreRow row) {
  const std::lock_guard lock(mutex_);
  queue_.rows.push_back(std::move(row));
  if (queue_.rows.size() == 1 || queue_.rows.size() == kGatherRows) filled_.notify_one();
}

void StoreThread::file(const std::filesystem::path& path, Mode mode, std::string content) {
  const std::lock_guard lock(mutex_);
  FileJob& job = queue_.files.try_emplace(path, FileJob{mode, {}}).first->second;
  if (mode == Mode::append) {  // to a waiting content, too
    job.content += content;
  } else {
    job = {mode, std::move(content)};
  }
  filled_.notify_one();
}

void StoreThread::write(const std::filesystem::path& path, std::string content) {
  file(path, Mode::whole, std::move(content));
}
void StoreThread::write_status(const std::filesystem::path& path, std::string content) {
  file(path, Mode::status, std::move(content));
}
void StoreThread::append(const std::filesystem::path& path, const std::string& text) { file(path, Mode::append, text); }

std::vector<ShardId> StoreThread::acknowledged() {
  const std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
  return std::exchange(durable_, {});
}

bool StoreThread::flush(std::chrono::duration<double> limit) {
  std::unique_lock lock(mutex_);
  return emptied_.wait_for(lock, limit, [&] { return failure_ || (queue_.empty() && !busy_); });
}

void StoreThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    filled_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void StoreThread::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    filled_.wait_until(lock, beaten_ + RunLock::kBeat, [&] { return stopping_ || !queue_.empty(); });
    if (!stopping_) filled_.wait_for(lock, kGather, [&] { return stopping_ || queue_.rows.size() >= kGatherRows; });
    const Jobs jobs = std::exchange(queue_, {});
    const bool last = stopping_;
    busy_ = true;
    lock.unlock();
    std::exception_ptr failure;
    try {
      carry_out(jobs);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    busy_ = false;
    failure_ = failure;
    if (!failure)
      for (const StoreRow& row : jobs.rows)
        if (row.acknowledge) durable_.push_back(*row.acknowledge);
    if (queue_.empty() || failure) emptied_.notify_all();
    if (failure || (last && queue_.empty())) return;
  }
}

std::set<std::string> StoreThread::recorded_files(RunStore& store) {
  std::set<std::string> names;
  for (const auto& [name, payload] : store.all(kWrittenFile)) names.insert(name);
  return names;
}

/// Of the run directory, to be written whole; counted as recorded from here on.
std::vector<std::string> StoreThread::unrecorded_files(const Jobs& jobs) {
  std::vector<std::string> names;
  for (const auto& [path, job] : jobs.files) {
    const std::string name = path.lexically_relative(store_.folder()).string();
    if (job.mode == Mode::whole && recorded_.insert(name).second) names.push_back(name);
  }
  return names;
}

/// Rows first: a file never tells of what is not durable.
void StoreThread::carry_out(const Jobs& jobs) {
  if (Clock::now() - beaten_ >= RunLock::kBeat) {
    if (lock_) lock_->verify(), lock_->beat();
    beaten_ = Clock::now();
  }
  const std::vector<std::string> files = unrecorded_files(jobs);
  if (!jobs.rows.empty() || !files.empty()) {
    if (lock_) lock_->verify();
    store_.begin();
    for (const StoreRow& row : jobs.rows)
      if (row.table == StoreRow::Table::log)
        store_.append(row.kind, row.key, row.payload);
      else
        store_.put(row.kind, row.key, row.payload);
    for (const std::string& file : files) store_.put(kWrittenFile, file, "");
    store_.commit();
  }
  for (const auto& [path, job] : jobs.files) switch (job.mode) {
      case Mode::whole:
        write_file(path, job.content);
        break;
      case Mode::status:
        write_status_file(path, job.content);
        break;
      case Mode::append:
        append_file(path, job.content);
        break;
    }
}

}  // namespace proctor
