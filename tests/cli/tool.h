// Runs the executable `resnet` in folders with tiny nets and data sets.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace resnet::test {

struct RunResult {
  int code = -1;  // exit code; 128 + signal when killed
  std::string out, err;
  // Lines of `err` that are not of the log: what the program says about its own end.
  std::vector<std::string> complaints() const;
};

struct RunOptions {
  std::vector<std::pair<std::string, std::string>> environment = {};  // in addition
  int64_t file_size_limit = 0;   // bytes (RLIMIT_FSIZE); 0: none
  std::string stdout_path = {};  // in place of RunResult::out
  int signal = 0;  // is sent once `signal_when`, which is asked again and again, holds
  std::function<bool()> signal_when = {};
};

// A temporary folder with two data sets (train_lmdb, test_lmdb: 24 and 10 images of 3x8x8, 3 classes),
// net.prototxt, deploy.prototxt and solver.prototxt (4 iterations, a snapshot after each second one).
class Workspace {
 public:
  Workspace();
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // Runs `resnet` in the folder. `meanwhile` is called again and again until it has ended.
  RunResult run(const std::vector<std::string>& arguments, const RunOptions& options = {},
                const std::function<void()>& meanwhile = {}) const;
  // The same, expecting exit code 0.
  RunResult run_ok(const std::vector<std::string>& arguments) const;
  // `train --quiet --threads=1 --solver=solver.prototxt` with further flags.
  RunResult train(const std::vector<std::string>& flags = {}, const RunOptions& options = {},
                  const std::function<void()>& meanwhile = {}) const;

  std::string path(const std::string& name) const { return (dir_ / name).string(); }
  bool has(const std::string& name) const { return std::filesystem::exists(dir_ / name); }
  std::string read(const std::string& name) const;
  void write(const std::string& name, const std::string& content) const;
  // Replaces the first occurrence of `from`, which must be there.
  void replace(const std::string& name, const std::string& from, const std::string& to) const;
  // Line of the first occurrence of `text`, from 1.
  int line_of(const std::string& name, const std::string& text) const;
  // An image file (PPM) of one colour.
  void write_image(const std::string& name, int width, int height, int red, int green,
                   int blue) const;

 private:
  std::filesystem::path dir_;
};

// An LMDB folder with these values under the keys 00000000_x, 00000001_x, ..
void write_lmdb(const std::string& path, const std::vector<std::string>& values);

// Expects one line on stderr beside the log, which has all `parts`, and this exit code.
void expect_failure(const RunResult& result, int code, const std::vector<std::string>& parts);

// A member of a JSON object on one line, as text ("name", 0.5, [..]); nothing if it is not there or the
// text is not JSON.
std::optional<std::string> json_member(const std::string& json, const std::string& key);
std::optional<double> json_number(const std::string& json, const std::string& key);

}  // namespace resnet::test
