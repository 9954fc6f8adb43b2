// The reader and writer of safetensors against files made byte by byte, and against the reference package.
#include "resnet/exchange/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "cli/tool.h"
#include "exchange/python.h"
#include "resnet/base/error.h"
#include "resnet/io/files.h"

namespace resnet::test {
namespace {

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string file_of(const std::string& header, const std::string& data) {
  return bytes_of<uint64_t>({header.size()}) + header + data;
}

std::string problem_of(const std::string& bytes) {
  try {
    parse_safetensors(bytes, "x.safetensors");
  } catch (const DataError& e) {
    EXPECT_TRUE(std::string(e.what()).starts_with("x.safetensors: ")) << e.what();
    return e.what();
  }
  return "";
}

TEST(Safetensors, ReadsEveryType) {
  const std::string data = bytes_of<double>({-1.5}) + bytes_of<float>({3.25F}) +
                           bytes_of<uint16_t>({0x3E00, 0xC000}) +  // binary16: 1.5, -2
                           bytes_of<uint16_t>({0x3FC0, 0xC000}) +  // bfloat16: 1.5, -2
                           bytes_of<int64_t>({-7});
  const TensorFile file = parse_safetensors(
      file_of(R"({"a":{"dtype":"F64","shape":[],"data_offsets":[0,8]},)"
              R"("b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},)"
              R"("c":{"dtype":"F16","shape":[2,1],"data_offsets":[12,16]},)"
              R"( "d" : { "data_offsets" : [ 16 , 20 ] , "shape" : [ 1 , 2 ] , "dtype" : "BF16" },)"
              R"("e":{"dtype":"I64","shape":[1,1,1],"data_offsets":[20,28]},)"
              R"("f":{"dtype":"F32","shape":[3,0],"data_offsets":[28,28]},)"
              R"("__metadata__":{"format":"pt","\u00e9\ud83d\ude00":"a\n\"b\\"}}  )",
              data),
      "x");
  ASSERT_EQ(file.tensors.size(), 6U);
  const auto expect = [&](const char* name, const Shape& shape, const std::vector<float>& values) {
    const NamedTensor* const tensor = file.find(name);
    ASSERT_NE(tensor, nullptr) << name;
    EXPECT_EQ(tensor->shape, shape) << name;
    EXPECT_EQ(tensor->data, values) << name;
  };
  expect("a", {}, {-1.5F});
  expect("b", {1}, {3.25F});
  expect("c", {2, 1}, {1.5F, -2});
  expect("d", {1, 2}, {1.5F, -2});
  expect("e", {1, 1, 1}, {-7});
  expect("f", {3, 0}, {});
  EXPECT_EQ(file.metadata.at("format"), "pt");
  EXPECT_EQ(file.metadata.at("\xC3\xA9\xF0\x9F\x98\x80"), "a\n\"b\\");
  EXPECT_EQ(file.find("g"), nullptr);
}

TEST(Safetensors, ArraysMayLieInAnyOrder) {
  const TensorFile file =
      parse_safetensors(file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},)"
                                R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                                bytes_of<float>({1, 2})),
                        "x");
  EXPECT_EQ(file.find("a")->data[0], 2);
  EXPECT_EQ(file.find("b")->data[0], 1);
}

TEST(Safetensors, RefusesWhatIsNotValid) {
  const std::string data = bytes_of<float>({1, 2});
  const auto entry = [](const std::string& rest) { return "{\"a\":{" + rest + "}}"; };
  const std::string good = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";
  EXPECT_EQ(problem_of(file_of(entry(good), data)), "");

  EXPECT_NE(problem_of(""), "");
  EXPECT_NE(problem_of("1234567"), "");
  EXPECT_NE(problem_of(bytes_of<uint64_t>({100'000'001}) + std::string(200, ' ')), "");
  EXPECT_NE(problem_of(bytes_of<uint64_t>({std::numeric_limits<uint64_t>::max()}) + "{}"), "");
  EXPECT_NE(problem_of(file_of(entry(good), data).substr(0, 20)), "");
  EXPECT_NE(problem_of(file_of(entry(good), data.substr(1))), "") << "truncated";
  EXPECT_NE(problem_of(file_of(entry(good), data + "x")), "") << "bytes at the end";
  EXPECT_NE(problem_of(file_of("{}", "x")), "");
  EXPECT_EQ(problem_of(file_of("{}", "")), "");

  const auto refused = [&](const std::string& rest, const std::string& part) {
    const std::string problem = problem_of(file_of(entry(rest), data));
    EXPECT_NE(problem.find(part), std::string::npos) << rest << ": '" << problem << "'";
  };
  refused(R"("dtype":"F32","shape":[2],"data_offsets":[4,8])", "begins at byte 4");
  refused(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])", "ends before it begins");
  refused(R"("dtype":"F32","shape":[2],"data_offsets":[0,9223372036854775807])", "ends at byte");
  refused(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])", "do not make 8 bytes");
  refused(R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8])",
          "do not make 8 bytes");
  refused(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8])", "more than 8");
  refused(R"("dtype":"I32","shape":[2],"data_offsets":[0,8])", "'I32'");
  refused(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])", "more than 2");
  refused(R"("dtype":"F32","shape":[2],"data_offsets":[0])", "not two numbers");
  refused(R"("dtype":"F32","shape":[2])", "lacks");
  refused(R"("dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8])", "comes twice");
  refused(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1)", "unknown member 'x'");
  refused(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])", "whole number");
  refused(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])", "whole number");
  refused(R"("dtype":"F32","shape":[02],"data_offsets":[0,8])", "whole number");
  refused(R"("dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8])", "whole number");
  refused(R"("dtype":"F32","shape":[2,],"data_offsets":[0,8])", "whole number");
  refused(R"("dtype":32,"shape":[2],"data_offsets":[0,8])", "'\"' is missing");
  for (const char* header : {"",
                             " {}",
                             "[]",
                             "{",
                             R"({"a")",
                             R"({"a":)",
                             R"({"__metadata__":{"a":1}})",
                             "{}{}",
                             R"({"a)",
                             R"({"a\)",
                             R"({"\x":{}})",
                             R"({"\u12":{}})",
                             R"({"\ud800":{}})",
                             R"({"\udc00\ud800":{}})",
                             "{\"\n\":{}}",
                             "{\"\xff\":{}}",
                             "{\"\xc0\x80\":{}}",
                             "{\"\xed\xa0\x80\":{}}",
                             "{\"\xf4\x90\x80\x80\":{}}",
                             "{\"\xe2\x82\":{}}"}) {
    EXPECT_NE(problem_of(file_of(header, "")), "") << header;
  }
  const std::string both = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)";
  EXPECT_NE(
      problem_of(file_of(both + R"("b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", data)),
      "")
      << "overlap";
  EXPECT_NE(
      problem_of(file_of(both + R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", data)),
      "")
      << "a name twice";
}

// Damage of any one byte, and any truncation, is an error or changes nothing that matters: it never crashes.
TEST(Safetensors, DamagedFilesAreSurvived) {
  const std::string whole =
      file_of(R"({"__metadata__":{"a":"b"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
              bytes_of<float>({1, 2}));
  ASSERT_EQ(problem_of(whole), "");
  for (size_t i = 0; i < whole.size(); ++i) {
    EXPECT_NE(problem_of(whole.substr(0, i)), "") << i;
    for (const int mask : {0x01, 0x20, 0x80, 0xFF}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ mask);
      problem_of(damaged);
    }
  }
}

TensorFile sample() {
  TensorFile file;
  file.tensors = {{"layer1.0.conv1.weight", {1, 2}, {1.5F, -0.0F}},
                  {"na\"me\n\xC3\xA9", {}, {std::numeric_limits<float>::denorm_min()}},
                  {"empty", {0, 3}, {}},
                  {"more", {3}, {1e30F, std::numeric_limits<float>::infinity(), 0.1F}}};
  file.metadata = {{"format", "pt"}, {"text", "two\nlines \"quoted\""}};
  return file;
}

void expect_equal(const TensorFile& a, const TensorFile& b) {
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const NamedTensor& tensor : a.tensors) {
    const NamedTensor* const other = b.find(tensor.name);
    ASSERT_NE(other, nullptr) << tensor.name;
    EXPECT_EQ(tensor.shape, other->shape) << tensor.name;
    EXPECT_EQ(bytes_of(tensor.data), bytes_of(other->data)) << tensor.name;
  }
  EXPECT_EQ(a.metadata, b.metadata);
}

TEST(Safetensors, WrittenFilesReadBackBitForBit) {
  const Workspace files;
  write_safetensors(files.path("x.safetensors"), sample());
  expect_equal(sample(), read_safetensors(files.path("x.safetensors")));
  EXPECT_THROW(write_safetensors(files.path("no/folder"), sample()), DataError);
  EXPECT_THROW(read_safetensors(files.path("nothing")), DataError);
}

// The package reads our file and writes it again; both have the same arrays.
TEST(Safetensors, AgreesWithTheReferencePackage) {
  const Python python = python_with({"numpy", "safetensors"});
  if (!python.skip.empty()) GTEST_SKIP() << python.skip;
  const Workspace files;
  write_safetensors(files.path("x.safetensors"), sample());
  const PythonResult result =
      run_python(python, {script("safetensors_package.py"), files.path("x.safetensors"),
                          files.path("y.safetensors"), files.path("types.safetensors")});
  ASSERT_EQ(result.code, 0) << result.output;
  expect_equal(sample(), read_safetensors(files.path("y.safetensors")));
  const TensorFile types = read_safetensors(files.path("types.safetensors"));
  for (const char* name : {"float16", "float64", "int64", "float32"}) {
    ASSERT_NE(types.find(name), nullptr) << name;
    EXPECT_EQ(types.find(name)->shape, (Shape{2, 3})) << name;
    EXPECT_EQ(types.find(name)->data, (std::vector<float>{-3, -2, -1, 0, 1, 2})) << name;
  }
}

}  // namespace
}  // namespace resnet::test
