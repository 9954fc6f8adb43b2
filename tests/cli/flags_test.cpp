// How the command line is read: spellings, errors, help, exit codes.
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "cli/tool.h"
#include "resnet/backend/backend.h"

namespace resnet::test {
namespace {

class Flags : public testing::Test {
 protected:
  RunResult run(const std::vector<std::string>& arguments) const { return files_.run(arguments); }
  Workspace files_;
};

// The commands that `resnet --help` lists.
std::vector<std::string> command_names(const std::string& help) {
  std::vector<std::string> names;
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("  ") && line[2] != ' ')
      names.push_back(line.substr(2, line.find(' ', 2) - 2));
  }
  return names;
}

TEST_F(Flags, HelpOfEveryCommandIsComplete) {
  const RunResult all = run({"--help"});
  EXPECT_EQ(all.code, 0);
  const std::vector<std::string> names = command_names(all.out);
  for (const char* name :
       {"train", "test", "predict", "extract", "define", "convert", "mean", "show", "summary",
        "plan", "bn-stats", "time", "import", "export", "info"}) {
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 1) << name;
  }
  for (const std::string& name : names) {
    const RunResult one = run({name, "--help"});
    EXPECT_EQ(one.code, 0) << name;
    for (const char* part : {"Usage: resnet ", "Flags:", "--quiet", "Examples:\n  resnet "}) {
      EXPECT_NE(one.out.find(part), std::string::npos) << name << ": " << part;
    }
    EXPECT_EQ(one.err, "");
    EXPECT_EQ(run({"help", name}).out, one.out);
    std::istringstream lines(one.out);
    std::set<std::string> flags;
    for (std::string line; std::getline(lines, line);) {
      const std::string flag = line.substr(0, line.find_first_of("= ", 2));
      EXPECT_TRUE(!flag.starts_with("  --") || flags.insert(flag).second) << name << ": " << flag;
      EXPECT_TRUE(line.size() <= 100 || line.starts_with("  resnet")) << name << ": " << line;
    }
  }
}

TEST_F(Flags, VersionAndUsage) {
  EXPECT_EQ(run({"--version"}).out.substr(0, 7), "resnet ");
  EXPECT_EQ(run({"--version"}).code, 0);
  EXPECT_EQ(run({}).code, 2);
  EXPECT_EQ(run({}).out, "");
}

TEST_F(Flags, UnknownCommandNamesTheNearest) {
  expect_failure(run({"trian"}), 2, {"'trian'", "did you mean 'train'?"});
  expect_failure(run({"xyzzy"}), 2, {"'xyzzy'", "resnet --help"});
  expect_failure(run({"--model=x"}), 2, {"'--model=x'"});
}

TEST_F(Flags, UnknownFlagNamesTheNearest) {
  expect_failure(run({"train", "--sovler=x"}), 2, {"'--sovler'", "did you mean '--solver'?"});
  expect_failure(run({"info", "--frobnicate"}), 2, {"'--frobnicate'", "resnet info --help"});
  expect_failure(run({"info", "--top=5"}), 2, {"unknown flag '--top'"});  // another command's
}

TEST_F(Flags, BadRepeatedIncompleteAndMissingFlags) {
  expect_failure(run({"info", "--threads=two"}), 2, {"--threads", "'two'"});
  expect_failure(run({"info", "--json=perhaps"}), 2, {"--json", "'perhaps'"});
  expect_failure(run({"info", "--threads=1", "-threads", "1"}), 2, {"--threads", "twice"});
  expect_failure(run({"info", "--json", "--nojson"}), 2, {"--json", "twice"});
  expect_failure(run({"info", "--threads"}), 2, {"--threads", "needs a value"});
  expect_failure(run({"train"}), 2, {"--solver", "missing"});
  expect_failure(run({"info", "me"}), 2, {"'me'"});
}

TEST_F(Flags, NegativeNumbersAreRefused) {
  const auto refused = [&](std::vector<std::string> arguments, const std::string& flag) {
    arguments.push_back(flag + "=-1");
    expect_failure(run(arguments), 2, {flag + " takes a number from"});
  };
  for (const std::string flag : {"--batch", "--loader_threads", "--skip_bad"}) {
    refused({"train", "--solver=solver.prototxt"}, flag);
  }
  refused({"bn-stats", "--solver=solver.prototxt", "--weights=none", "--output=x"}, "--iterations");
}

TEST_F(Flags, SpellingsOfCaffeAreAccepted) {
  const std::vector<std::vector<std::string>> same = {
      {"plan", "--model=deploy.prototxt", "--batch=2", "--json", "--quiet"},
      {"plan", "-model", "deploy.prototxt", "-batch", "2", "-json", "-q"},
      {"plan", "--model", "deploy.prototxt", "--batch_size=2", "--json=true", "-quiet"},
      {"plan", "--model=deploy.prototxt", "--batch-size", "2", "--json", "--quiet",
       "--no-deterministic"},
  };
  const RunResult first = run(same[0]);
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.err, "");
  for (const auto& arguments : same) EXPECT_EQ(run(arguments).out, first.out) << arguments[1];
  expect_failure(run({"info", "-gpu", "0"}), 4, {"cuda:0"});
}

TEST_F(Flags, DevicesAndPrecisionsThatAreNotThere) {
  if (!resnet::cuda_obstacle().empty()) {
    expect_failure(run({"info", "--device=cuda"}), 4,
                   {"--device=cuda: cuda: ", "use --device=cpu"});
  }
  expect_failure(run({"info", "--device=tpu"}), 2, {"--device", "'tpu'"});
  expect_failure(run({"info", "--math=FLOAT16"}), 4, {"FLOAT16", "type f16", "--math=FLOAT32"});
  expect_failure(
      files_.run({"info", "--math=BFLOAT16"}, {.environment = {{"RESNET_MAX_CPU_ISA", "avx2"}}}), 4,
      {"BFLOAT16", "needs AVX512_BF16", "--math=FLOAT32"});
  expect_failure(run({"info", "--math=half"}), 2, {"--math", "'half'"});
  expect_failure(run({"info", "--bind=hard"}), 2, {"hard"});
  expect_failure(run({"info", "--threads=-1"}), 2, {"--threads"});
  expect_failure(run({"info", "--backend=abacus"}), 2, {"'abacus'"});
  expect_failure(run({"info", "--backend=./none.so"}), 4, {"none.so"});
}

TEST_F(Flags, SolverModeChoosesTheDevice) {
  const std::string solver = files_.read("solver.prototxt");
  files_.write("solver.prototxt", solver + "solver_mode: GPU\n");
  expect_failure(run({"train", "--solver=solver.prototxt"}), 4,
                 {"solver_mode: GPU", "--device=cpu"});
  expect_failure(run({"plan", "--solver=solver.prototxt"}), 4, {"solver_mode: GPU"});
  EXPECT_EQ(run({"train", "--solver=solver.prototxt", "--device=cpu", "--dry_run"}).code, 0);
  files_.write("solver.prototxt", solver + "solver_mode: CPU\n");
  EXPECT_EQ(run({"train", "--solver=solver.prototxt", "--dry_run"}).code, 0);
}

TEST_F(Flags, LogGoesToStandardErrorAndFiles) {
  const RunResult loud = run({"info"});
  EXPECT_EQ(loud.code, 0);
  EXPECT_NE(loud.err.find("setup.cpp"), std::string::npos) << loud.err;
  EXPECT_EQ(loud.out.find("setup.cpp"), std::string::npos);
  EXPECT_EQ(run({"info", "--quiet"}).err, "");

  std::filesystem::create_directory(files_.path("logs"));
  EXPECT_EQ(run({"info", "--quiet", "--log_dir=logs"}).err, "");
  EXPECT_NE(files_.read("logs/resnet.INFO").find("setup.cpp"), std::string::npos);
  expect_failure(run({"info", "--log_dir=nowhere"}), 2, {"--log_dir", "nowhere"});
}

TEST_F(Flags, StandardOutputThatIsFullIsAnError) {
  const RunResult result = files_.run({"info", "--quiet"}, {.stdout_path = "/dev/full"});
  expect_failure(result, 3, {"standard output"});
}

TEST_F(Flags, InfoAsJson) {
  const RunResult result = run({"info", "--json", "--quiet", "--threads=1"});
  EXPECT_EQ(json_number(result.out, "threads"), 1);
  for (const char* key : {"version", "build", "protobuf", "lmdb", "opencv", "device"}) {
    EXPECT_TRUE(json_member(result.out, key).has_value()) << key;
  }
}

}  // namespace
}  // namespace resnet::test
