// Errors that a user can cause, as typed exceptions. `main` prints one line and exits with code().
#pragma once

#include <stdexcept>
#include <string>

namespace resnet {

// Process exit codes of the `resnet` binary (documented in docs/formats.md and --help).
enum class ExitCode : int {
  ok = 0,
  usage = 2,        // unknown flag, bad configuration, invalid prototxt
  data = 3,         // unreadable or invalid data, weights or snapshot
  device = 4,       // device missing, out of memory, unsupported operation
  non_finite = 5,   // the loss became infinite or NaN
  internal = 70,    // a bug in this program
  interrupted = 75  // stopped by a signal after writing a snapshot: resumable
};

// Base class. what() is one line: place, fact, next action; where several are found, one line for each.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& what) : std::runtime_error(what), code_(code) {}
  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

// Flags, prototxt, graph and plan errors (exit 2). May hold several lines, one per error found.
class ConfigError : public Error {
 public:
  explicit ConfigError(const std::string& what) : Error(ExitCode::usage, what) {}
};

// Data sources, weight files, snapshots, file system (exit 3).
class DataError : public Error {
 public:
  explicit DataError(const std::string& what) : Error(ExitCode::data, what) {}
};

// Devices, memory, operations that a backend does not support (exit 4).
class DeviceError : public Error {
 public:
  explicit DeviceError(const std::string& what) : Error(ExitCode::device, what) {}
};

// Not enough memory.
class OutOfMemory : public DeviceError {
 public:
  // fact: "3 MiB are needed, .."; advice: what the user can do.
  OutOfMemory(const std::string& fact, const std::string& advice)
      : OutOfMemory(fact, "; ", advice) {}
  const std::string& fact() const noexcept { return fact_; }

 protected:
  OutOfMemory(const std::string& fact, const char* separator, const std::string& advice)
      : DeviceError("out of memory: " + fact + separator + advice), fact_(fact) {}

 private:
  std::string fact_;
};

// Not enough memory for the plan of a net. what() has several lines: how much is needed, the largest
// tensors, and what would fit.
class PlanTooLarge : public OutOfMemory {
 public:
  PlanTooLarge(const std::string& fact, const std::string& lines)
      : OutOfMemory(fact, "\n", lines) {}
};

// The loss or a gradient became infinite or NaN (exit 5).
class NonFiniteError : public Error {
 public:
  explicit NonFiniteError(const std::string& what) : Error(ExitCode::non_finite, what) {}
};

// A broken invariant of this program (exit 70); never reachable from input.
class InternalError : public Error {
 public:
  explicit InternalError(const std::string& what) : Error(ExitCode::internal, what) {}
};

}  // namespace resnet
