// The reader of NumPy's archives against archives made byte by byte, and against NumPy's own.
#include "resnet/exchange/npz.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <functional>

#include "cli/tool.h"
#include "exchange/python.h"
#include "resnet/base/error.h"
#include "resnet/io/files.h"

namespace resnet::test {
namespace {

template <class T>
std::string little(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string npy(const std::string& type, const std::string& shape, const std::string& data,
                const std::string& fortran = "False", int version = 1) {
  const std::string header =
      "{'descr': '" + type + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n";
  const auto size = static_cast<uint32_t>(header.size());
  return "\x93NUMPY" + std::string{static_cast<char>(version), '\0'} +
         (version == 1 ? little(static_cast<uint16_t>(size)) : little(size)) + header + data;
}

struct Member {
  std::string name, data;  // unpacked
  bool deflate = false;
  // What the archive says, where it lies.
  uint16_t flags = 0, method = 0xFFFF;
  uint32_t crc = 0, size = 0xFFFFFFFE;
};

std::string deflated(const std::string& data) {
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, data.size()) + 16, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

std::string zip(const std::vector<Member>& members, bool same_place = false) {
  std::string out, list;
  size_t place = 0;
  for (const Member& member : members) {
    const std::string packed = member.deflate ? deflated(member.data) : member.data;
    const uint16_t method = member.method != 0xFFFF ? member.method : member.deflate ? 8 : 0;
    const auto crc =
        static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(member.data.data()),
                                    static_cast<uInt>(member.data.size())));
    const uint32_t size =
        member.size != 0xFFFFFFFE ? member.size : static_cast<uint32_t>(member.data.size());
    const std::string common = little(member.flags) + little(method) + little(uint32_t{0}) +
                               little(crc ^ member.crc) +
                               little(static_cast<uint32_t>(packed.size())) + little(size) +
                               little(static_cast<uint16_t>(member.name.size()));
    if (!same_place) place = out.size();
    out += little(0x04034b50u) + little(uint16_t{20}) + common + little(uint16_t{4});
    out += member.name;
    out += "abcd";
    out += packed;
    list += little(0x02014b50u) + little(uint16_t{20}) + little(uint16_t{20}) + common +
            little(uint16_t{0}) + little(uint16_t{0}) + little(uint16_t{0}) + little(uint16_t{0}) +
            little(uint32_t{0}) + little(static_cast<uint32_t>(place)) + member.name;
  }
  const auto begin = static_cast<uint32_t>(out.size());
  const auto count = static_cast<uint16_t>(members.size());
  return out + list + little(0x06054b50u) + little(uint16_t{0}) + little(uint16_t{0}) +
         little(count) + little(count) + little(static_cast<uint32_t>(list.size())) +
         little(begin) + little(uint16_t{2}) + "ok";
}

std::string problem_of(const std::string& bytes) {
  try {
    parse_npz(bytes, "x.npz");
  } catch (const DataError& e) {
    EXPECT_TRUE(std::string(e.what()).starts_with("x.npz: ")) << e.what();
    return e.what();
  }
  return "";
}

TEST(Npz, ReadsStoredAndDeflatedArrays) {
  const std::string data = bytes_of<float>({1, 2, 3, 4, 5, 6});
  const TensorFile file =
      parse_npz(zip({{"a/b.npy", npy("<f4", "(2, 3)", data)},
                     {"c.npy", npy("<f4", "(6,)", data, "False", 2), true},
                     {"d.npy", npy("<i8", "()", little(int64_t{-5}), "False", 3), true}}),
                "x");
  ASSERT_EQ(file.tensors.size(), 3U);
  EXPECT_EQ(file.find("a/b")->shape, (Shape{2, 3}));
  EXPECT_EQ(file.find("a/b")->data, (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(file.find("c")->shape, (Shape{6}));
  EXPECT_EQ(file.find("c")->data, file.find("a/b")->data);
  EXPECT_EQ(file.find("d")->shape, Shape());
  EXPECT_EQ(file.find("d")->data, std::vector<float>{-5});
}

TEST(Npz, ReadsTypesAndOrders) {
  const auto values = [](const std::string& bytes) { return parse_npy(bytes, "x").data; };
  EXPECT_EQ(values(npy("<f2", "(2,)", bytes_of<uint16_t>({0x3E00, 0xC000}))),
            (std::vector<float>{1.5F, -2}));
  EXPECT_EQ(values(npy(">f2", "(1,)", std::string("\x3E\x00", 2))), std::vector<float>{1.5F});
  EXPECT_EQ(values(npy("<f8", "(1,)", little(0.5))), std::vector<float>{0.5F});
  EXPECT_EQ(values(npy(">f4", "(1,)", std::string("\x3F\xC0\x00\x00", 4))),
            std::vector<float>{1.5F});
  EXPECT_EQ(values(npy(">f8", "(1,)", std::string("\x3F\xF8\0\0\0\0\0\0", 8))),
            std::vector<float>{1.5F});
  EXPECT_EQ(values(npy("|u1", "(2,)", "\x01\xFF")), (std::vector<float>{1, 255}));
  // Columns (1 4), (2 5), (3 6).
  EXPECT_EQ(values(npy("<f4", "(2, 3)", bytes_of<float>({1, 4, 2, 5, 3, 6}), "True")),
            (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(parse_npy(npy("<f4", "(0, 3)", ""), "x").shape, (Shape{0, 3}));
  for (const std::string& bad :
       {npy("<i4", "(1,)", "abcd"), npy("<c8", "(1,)", "abcdefgh"), npy("<f4", "(2,)", "abcd"),
        npy("<f4", "(1", "abcd"), npy("<f4", "(x,)", "abcd"), npy("<f4", "(-1,)", "abcd"),
        npy("<f4", "(1,)", "abcd", "Maybe"), npy("<f4", "(1,)", "abcd", "False", 4),
        npy("<f4", "(4611686018427387904, 4)", ""), npy("<f4", "(1,1,1,1,1,1,1,1,1)", "abcd"),
        std::string("\x93NUMPY\x01\x00\xFF\xFF{}", 12), std::string()}) {
    EXPECT_THROW(parse_npy(bad, "x"), DataError) << bad;
  }
}

TEST(Npz, RefusesWhatIsNotValid) {
  const std::string array = npy("<f4", "(2,)", bytes_of<float>({1, 2}));
  const Member good{"a.npy", array};
  EXPECT_EQ(problem_of(zip({good})), "");
  EXPECT_EQ(problem_of(zip({})), "");
  const auto refused = [](const std::string& bytes, const std::string& part) {
    const std::string problem = problem_of(bytes);
    EXPECT_NE(problem.find(part), std::string::npos) << part << ": '" << problem << "'";
  };
  const auto with = [&](const std::function<void(Member*)>& change) {
    Member member = good;
    change(&member);
    return zip({member});
  };
  refused("", "not an .npz file");
  refused(array, "not an .npz file");
  refused(zip({good}).substr(1), "list of its entries is damaged");
  refused(zip({good, good}), "there twice");
  refused(zip({good, {"b.npy", array}}, true), "overlap");
  refused(with([](Member* m) { m->name = "a.txt"; }), "no array");
  refused(with([](Member* m) { m->flags = 1; }), "encrypted");
  refused(with([](Member* m) { m->method = 12; }), "method 12");
  refused(with([](Member* m) { m->crc = 1; }), "CRC-32");
  refused(with([](Member* m) { m->size = 5; }), "cannot have the size");
  refused(with([](Member* m) { m->size = 0xFFFFFFFF; }), "zip64");
  refused(with([](Member* m) {
            m->deflate = true;
            m->size = 0x7FFFFFFF;
          }),
          "cannot have the size");
  refused(with([](Member* m) {
            m->deflate = true;
            m->size = static_cast<uint32_t>(m->data.size()) - 1;
          }),
          "not as large");
  refused(with([](Member* m) { m->method = 8; }), "damaged");
  const std::string whole = zip({good});
  for (size_t i = 0; i < whole.size(); ++i) problem_of(whole.substr(0, i));  // never crashes
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x81);
    problem_of(damaged);
  }
}

TEST(Npz, ReadsWhatNumPyWrites) {
  const Python python = python_with({"numpy"});
  if (!python.skip.empty()) GTEST_SKIP() << python.skip;
  const Workspace files;
  const PythonResult result = run_python(python, {script("numpy_archives.py"), files.path("x")});
  ASSERT_EQ(result.code, 0) << result.output;
  for (const char* name : {"x_stored.npz", "x_deflated.npz"}) {
    const TensorFile file = read_npz(files.path(name));
    EXPECT_EQ(file.tensors.size(), 7U);
    for (const NamedTensor& tensor : file.tensors) {
      EXPECT_EQ(tensor.shape, (Shape{2, 3, 2})) << tensor.name;
      std::vector<float> wanted(12);
      for (size_t i = 0; i < wanted.size(); ++i) wanted[i] = static_cast<float>(i);
      EXPECT_EQ(tensor.data, wanted) << tensor.name;
    }
  }
}

}  // namespace
}  // namespace resnet::test
