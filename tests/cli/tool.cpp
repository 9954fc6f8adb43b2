#include "cli/tool.h"

#include <fcntl.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <lmdb.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>
#include <utility>

#include "cli/texts.h"
#include "resnet/base/random.h"
#include "resnet/data/writer.h"

namespace resnet::test {
namespace {

namespace fs = std::filesystem;

std::string read_all(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Images whose colour says their class, with noise.
void write_data(const std::string& path, uint64_t seed, int64_t count) {
  const auto writer = open_lmdb_writer(path, {"red", "green", "blue"});
  for (int64_t i = 0; i < count; ++i) {
    Record record;
    record.key = "image" + std::to_string(i);
    record.label = i % 3;
    record.shape = {3, 8, 8};
    Random random(seed, static_cast<uint64_t>(i), Use::test);
    for (int64_t c = 0; c < 3; ++c) {
      const uint32_t base = 2 - c == record.label ? 150 : 60;  // planes are B,G,R
      for (int k = 0; k < 64; ++k)
        record.bytes.push_back(static_cast<uint8_t>(base + random.below(60)));
    }
    writer->add(record);
  }
  writer->finish();
}

// In the child: never returns.
[[noreturn]] void become(const std::string& dir, const std::vector<std::string>& arguments,
                         const RunOptions& options, const std::string& out,
                         const std::string& err) {
  const auto redirect = [](const std::string& path, int to) {
    dup2(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), to);
  };
  redirect(options.stdout_path.empty() ? out : options.stdout_path, STDOUT_FILENO);
  redirect(err, STDERR_FILENO);
  if (chdir(dir.c_str()) != 0) _exit(126);
  for (const auto& [name, value] : options.environment) setenv(name.c_str(), value.c_str(), 1);
  if (options.file_size_limit > 0) {
    const auto limit = static_cast<rlim_t>(options.file_size_limit);
    const rlimit both{limit, limit};
    setrlimit(RLIMIT_FSIZE, &both);
  }
  std::vector<char*> argv = {const_cast<char*>("resnet")};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execv(RESNET_TOOL, argv.data());
  _exit(127);
}

void check(int error) { ASSERT_EQ(error, 0) << mdb_strerror(error); }

}  // namespace

std::vector<std::string> RunResult::complaints() const {
  std::vector<std::string> lines;
  std::istringstream stream(err);
  for (std::string line; std::getline(stream, line);) {
    const bool is_log = line.size() > 5 && std::string("IWE").find(line[0]) != std::string::npos &&
                        std::isdigit(static_cast<unsigned char>(line[1])) != 0;
    if (!is_log) lines.push_back(line);
  }
  return lines;
}

Workspace::Workspace() {
  std::string name = testing::TempDir() + "/resnet_cli_XXXXXX";
  dir_ = mkdtemp(name.data());
  write_data(path("train_lmdb"), 1, 24);
  write_data(path("test_lmdb"), 2, 10);
  write("net.prototxt", kNet);
  write("deploy.prototxt", kDeploy);
  write("solver.prototxt", kSolver);
}

Workspace::~Workspace() {
  std::error_code ignored;
  fs::remove_all(dir_, ignored);
}

RunResult Workspace::run(const std::vector<std::string>& arguments, const RunOptions& options,
                         const std::function<void()>& meanwhile) const {
  std::string name = testing::TempDir() + "/resnet_out_XXXXXX";
  const fs::path streams = mkdtemp(name.data());
  const std::string out = streams / "out", err = streams / "err";
  const pid_t child = fork();
  if (child == 0) become(dir_, arguments, options, out, err);
  int status = 0;
  int signal = options.signal;
  while (waitpid(child, &status, meanwhile || signal != 0 ? WNOHANG : 0) == 0) {
    if (meanwhile) meanwhile();
    if (signal == 0) continue;
    if (options.signal_when()) kill(child, std::exchange(signal, 0));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  RunResult result;
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = read_all(out);
  result.err = read_all(err);
  fs::remove_all(streams);
  return result;
}

RunResult Workspace::run_ok(const std::vector<std::string>& arguments) const {
  RunResult result = run(arguments);
  EXPECT_EQ(result.code, 0) << result.err;
  return result;
}

RunResult Workspace::train(const std::vector<std::string>& flags, const RunOptions& options,
                           const std::function<void()>& meanwhile) const {
  std::vector<std::string> arguments = {"train", "--quiet", "--threads=1",
                                        "--solver=solver.prototxt"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  return run(arguments, options, meanwhile);
}

std::string Workspace::read(const std::string& name) const { return read_all(dir_ / name); }

void Workspace::write(const std::string& name, const std::string& content) const {
  std::ofstream(dir_ / name, std::ios::binary) << content;
}

void Workspace::replace(const std::string& name, const std::string& from,
                        const std::string& to) const {
  std::string text = read(name);
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  write(name, text.replace(at, from.size(), to));
}

int Workspace::line_of(const std::string& name, const std::string& text) const {
  const std::string content = read(name);
  const auto end = content.begin() + static_cast<std::ptrdiff_t>(content.find(text));
  return 1 + static_cast<int>(std::count(content.begin(), end, '\n'));
}

void Workspace::write_image(const std::string& name, int width, int height, int red, int green,
                            int blue) const {
  std::string content = "P6\n" + std::to_string(width) + " " + std::to_string(height) + "\n255\n";
  for (int i = 0; i < width * height; ++i) {
    for (const int value : {red, green, blue}) content += static_cast<char>(value);
  }
  write(name, content);
}

void write_lmdb(const std::string& path, const std::vector<std::string>& values) {
  fs::create_directory(path);
  MDB_env* env = nullptr;
  MDB_txn* txn = nullptr;
  MDB_dbi dbi = 0;
  check(mdb_env_create(&env));
  check(mdb_env_open(env, path.c_str(), 0, 0600));
  check(mdb_txn_begin(env, nullptr, 0, &txn));
  check(mdb_dbi_open(txn, nullptr, 0, &dbi));
  for (size_t i = 0; i < values.size(); ++i) {
    std::string key = "0000000" + std::to_string(i) + "_x";
    MDB_val k{key.size(), key.data()};
    MDB_val v{values[i].size(), const_cast<char*>(values[i].data())};
    check(mdb_put(txn, dbi, &k, &v, 0));
  }
  check(mdb_txn_commit(txn));
  mdb_env_close(env);
}

void expect_failure(const RunResult& result, int code, const std::vector<std::string>& parts) {
  EXPECT_EQ(result.code, code) << result.err;
  const std::vector<std::string> lines = result.complaints();
  ASSERT_EQ(lines.size(), 1U) << result.err;
  EXPECT_TRUE(lines[0].starts_with("resnet")) << lines[0];
  for (const std::string& part : parts) {
    EXPECT_NE(lines[0].find(part), std::string::npos) << "no '" << part << "' in: " << lines[0];
  }
}

std::optional<std::string> json_member(const std::string& json, const std::string& key) {
  google::protobuf::Struct object;
  if (!google::protobuf::util::JsonStringToMessage(json, &object).ok()) return std::nullopt;
  const auto found = object.fields().find(key);
  if (found == object.fields().end()) return std::nullopt;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(found->second, &text).ok()) return std::nullopt;
  return text;
}

std::optional<double> json_number(const std::string& json, const std::string& key) {
  const std::optional<std::string> text = json_member(json, key);
  if (!text || text->empty() || text->front() == '"') return std::nullopt;
  return std::strtod(text->c_str(), nullptr);
}

}  // namespace resnet::test
