// SPDX-License-Identifier: Apache-2.0
// Object: the base of everything that a client can name, counted by intrusive references.
//
// Whoever drops the last reference does not delete: the object goes to the session's DeferredDeleter, and the dispatcher
// deletes it there. So drivers' destructors, the heap and the budget are only ever called from the dispatcher, although
// completions run on the driver's threads. Deferring allocates nothing.
//
// Threads: references may be copied and dropped anywhere; everything else about an object belongs to the dispatcher unless
// it says otherwise. Lifetime: the deleter outlives every object.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>

#include "core/session/recipe/journal.h"

namespace amalgam::core {

enum class Kind : uint8_t { kDevice, kContext, kStream, kRegion, kSampler, kEvent, kModule, kKernel };

class DeferredDeleter;

class Object {
 public:
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  const Kind kind;
  RecipePtr recipe;  ///< how it is made again; null: it is not, as most events

 protected:
  Object(DeferredDeleter& deleter, Kind k) : kind(k), deleter_(deleter) {}
  virtual ~Object() = default;

 private:
  template <typename T>
  friend class Ref;
  friend class DeferredDeleter;
  void retain() { references_.fetch_add(1, std::memory_order_relaxed); }
  inline void release();

  DeferredDeleter& deleter_;
  std::atomic<uint32_t> references_{0};
  Object* next_ = nullptr;
};

/// Where objects without references wait for the dispatcher.
class DeferredDeleter {
 public:
  /// `poke` wakes the dispatcher; called from any thread.
  explicit DeferredDeleter(std::function<void()> poke) : poke_(std::move(poke)) {}
  ~DeferredDeleter() { clear(); }
  DeferredDeleter(const DeferredDeleter&) = delete;
  DeferredDeleter& operator=(const DeferredDeleter&) = delete;

  bool empty() const { return top_.load(std::memory_order_acquire) == nullptr; }
  /// Deletes what is there, and what that drops in turn. Dispatcher only.
  void clear() {
    while (Object* object = top_.exchange(nullptr, std::memory_order_acq_rel)) {
      while (object != nullptr) {
        Object* next = object->next_;
        delete object;
        object = next;
      }
    }
  }

 private:
  friend class Object;
  void defer(Object* object) {
    Object* below = top_.load(std::memory_order_relaxed);
    do {
      object->next_ = below;
    } while (!top_.compare_exchange_weak(below, object, std::memory_order_acq_rel));
    if (below == nullptr) poke_();  // the object itself may be gone by now
  }
  std::atomic<Object*> top_{nullptr};
  std::function<void()> poke_;
};

void Object::release() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) deleter_.defer(this);
}

/// One reference to an object.
template <typename T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* object) : object_(object) {
    if (object_ != nullptr) base()->retain();
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <typename U>
    requires std::is_base_of_v<T, U>
  Ref(Ref<U> other) : object_(other.detach()) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) base()->release();
  }
  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  /// Gives the reference away uncounted.
  T* detach() { return std::exchange(object_, nullptr); }

 private:
  Object* base() const { return object_; }
  T* object_ = nullptr;
};

template <typename T, typename... A>
Ref<T> make_object(A&&... arguments) {
  return Ref<T>(new T(std::forward<A>(arguments)...));
}

}  // namespace amalgam::core
