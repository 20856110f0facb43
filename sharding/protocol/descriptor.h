// A file descriptor with an owner.
#pragma once

#include <utility>

namespace proctor {

/// Owns a file descriptor; -1: none.
class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  int value() const { return value_; }

 private:
  int value_;
};

}  // namespace proctor
