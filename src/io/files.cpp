#include "resnet/io/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "resnet/base/error.h"

namespace resnet {
namespace {

// What the user can do about an errno.
std::string advice(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return ": free some space or write to another disk";
    case EFBIG:
      return ": the file size limit of this process is too small (see ulimit -f)";
    case EACCES:
    case EPERM:
    case EROFS:
      return ": choose another place or change its permissions";
    case ENOENT:
      return ": check the path";
    case EISDIR:
      return ": give a file";
    case EMFILE:
    case ENFILE:
      return ": raise the limit of open files (ulimit -n)";
    default:
      return "";
  }
}

[[noreturn]] void fail(const std::string& path, const std::string& action, int error) {
  throw DataError(path + ": cannot " + action + ": " + std::strerror(error) + advice(error));
}

// An open file descriptor; close() reports errors, the destructor does not.
class Descriptor {
 public:
  Descriptor(const std::string& path, int flags, mode_t mode = 0)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  int close() { return fd_ < 0 ? 0 : ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

// 0, or the errno of the failed write.
int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), std::min<size_t>(bytes.size(), size_t{1} << 30));
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

// While a file is written, a file size limit is an error (EFBIG) and not a signal.
class IgnoreFileSizeSignal {
 public:
  IgnoreFileSizeSignal() {
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGXFSZ, &ignore, &old_);
  }
  IgnoreFileSizeSignal(const IgnoreFileSizeSignal&) = delete;
  IgnoreFileSizeSignal& operator=(const IgnoreFileSizeSignal&) = delete;
  ~IgnoreFileSizeSignal() { ::sigaction(SIGXFSZ, &old_, nullptr); }

 private:
  struct sigaction old_ = {};
};

int write_parts(int fd, const std::vector<std::string_view>& parts, const std::string& label) {
  size_t total = 0;
  for (std::string_view p : parts) total += p.size();
  size_t until_half = total / 2;
  bool half_done = false;
  for (std::string_view p : parts) {
    if (!half_done && p.size() >= until_half) {
      if (const int error = write_all(fd, p.substr(0, until_half))) return error;
      crash_point(label + "_half_written");
      p.remove_prefix(until_half);
      half_done = true;
    } else {
      until_half -= std::min(until_half, p.size());
    }
    if (const int error = write_all(fd, p)) return error;
  }
  return 0;
}

void sync_directory(const std::string& directory) {
  Descriptor d(directory, O_RDONLY | O_DIRECTORY);
  // Some file systems refuse to sync a directory (EINVAL); they have no such promise to keep.
  if (d.ok() && ::fsync(d.get()) != 0 && errno != EINVAL) fail(directory, "sync", errno);
}

}  // namespace

std::string read_file(const std::string& path) {
  Descriptor file(path, O_RDONLY);
  if (!file.ok()) fail(path, "open", errno);
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) fail(path, "read", errno);
  if (S_ISDIR(info.st_mode)) fail(path, "read", EISDIR);
  std::string bytes;
  constexpr size_t kChunkBytes = size_t{1} << 16;
  if (S_ISREG(info.st_mode)) bytes.reserve(static_cast<size_t>(info.st_size) + kChunkBytes);
  size_t size = 0;
  while (true) {
    bytes.resize(std::max(bytes.capacity(), size + kChunkBytes));
    const ssize_t n = ::read(file.get(), bytes.data() + size, bytes.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path, "read", errno);
    size += static_cast<size_t>(n);
    if (n == 0) break;
  }
  bytes.resize(size);
  return bytes;
}

void write_file_atomic(const std::string& path, const std::vector<std::string_view>& parts,
                       const std::string& label) {
  const std::string temporary = path + ".tmp";
  const IgnoreFileSizeSignal no_signal;
  Descriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (!file.ok()) fail(path, "create " + temporary, errno);
  int error = write_parts(file.get(), parts, label);
  if (error == 0) {
    crash_point(label + "_written");
    if (::fsync(file.get()) != 0) error = errno;
  }
  if (file.close() != 0 && error == 0) error = errno;
  if (error == 0) {
    crash_point(label + "_synced");
    if (::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  }
  if (error != 0) {
    ::unlink(temporary.c_str());
    fail(path, "write", error);
  }
  crash_point(label + "_renamed");
  sync_directory(directory_of(path));
  crash_point(label + "_done");
}

void remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail(path, "remove", errno);
}

int64_t prepare_directory_of(const std::string& path) {
  const std::string directory = directory_of(path);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) fail(directory, "create this directory", error.value());
  std::string probe = directory + "/.resnet_probe_XXXXXX";
  const int fd = ::mkstemp(probe.data());
  if (fd < 0) fail(directory, "write to this directory", errno);
  ::close(fd);
  ::unlink(probe.c_str());
  struct statvfs space = {};
  if (::statvfs(directory.c_str(), &space) != 0) fail(directory, "ask for free space", errno);
  return static_cast<int64_t>(space.f_bavail) * static_cast<int64_t>(space.f_frsize);
}

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string base_name(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

void crash_point(const std::string& point) {
  const char* setting = std::getenv("RESNET_TEST_CRASH");
  if (!setting) return;
  static std::atomic<int> passages{0};
  const std::string_view wanted = setting;
  const size_t colon = wanted.find(':');
  if (wanted.substr(0, colon) != point) return;
  const int count = colon == std::string_view::npos ? 1 : std::atoi(setting + colon + 1);
  if (++passages == count) ::kill(::getpid(), SIGKILL);
}

}  // namespace resnet
