#include "resnet/io/prototxt.h"

#include <glog/logging.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <random>

#include "io/io_test_util.h"
#include "io/text_check.h"
#include "resnet/io/files.h"

namespace resnet {
namespace {

using testing::error_of;
using testing::ScratchDirectory;
using testing::shared_dir;

std::string net_error(const std::string& text) {
  return error_of<ConfigError>([&] { parse_net_prototxt(text, "a.prototxt"); });
}

std::string solver_error(const std::string& text) {
  return error_of<ConfigError>([&] { parse_solver_prototxt(text, "s.prototxt"); });
}

TEST(Prototxt, ReadsLayersWithTheirLines) {
  const NetSource source = parse_net_source(
      "name: \"n\"  # comment\n"
      "layer { name: \"a\" type: \"Input\" top: \"a\"\n"
      "  input_param { shape: { dim: 1 dim: 3 dim: 8 dim: 8 } } }\n"
      "layer {\n  name: 'b'\n  type: \"Convolution\"\n  convolution_param <\n"
      "    num_output: 0x10; kernel_size: [3, 5], weight_filler { type: \"msra\" } >\n}\n",
      "a.prototxt");
  EXPECT_TRUE(source.problems.empty());
  ASSERT_EQ(source.net.layer_size(), 2);
  EXPECT_EQ(source.where(0), "a.prototxt:2");
  EXPECT_EQ(source.where(1), "a.prototxt:4");
  EXPECT_EQ(source.where(2), "a.prototxt");
  EXPECT_EQ(source.net.layer(1).convolution_param().num_output(), 16u);
  EXPECT_EQ(source.net.layer(1).convolution_param().kernel_size(1), 5u);
}

TEST(Prototxt, UnknownFieldNamesTheNearestOne) {
  EXPECT_EQ(net_error("name: \"n\"\nlayer {\n  name: \"a\"\n  botom: \"x\"\n}\n"),
            "a.prototxt:4:3: unknown field 'botom' in LayerParameter; did you mean 'bottom'?");
}

TEST(Prototxt, AllProblemsOfAFileAreReportedTogether) {
  const std::string text =
      "nam: \"n\"\n"
      "layer {\n"
      "  type: Convolution\n"
      "  convolution_param { num_outputs: 3 kernel_size: -1 engine: FAST pad: 1.5\n"
      "    bias_term: yes weight_filler { type: \"mrsa\" std: \"x\" } }\n"
      "  top: \"t\"\n"
      "}\n"
      "layer { name: \"p\" name: \"q\" pooling_param { pool: STOCHASTIC } lrn_param { alpha: 1 } "
      "}\n";
  const std::string expected =
      "a.prototxt:1:1: unknown field 'nam' in NetParameter; did you mean 'name'?\n"
      "a.prototxt:3:9: 'type' takes a string in quotes, found 'Convolution'\n"
      "a.prototxt:4:23: unknown field 'num_outputs' in ConvolutionParameter; did you mean "
      "'num_output'?\n"
      "a.prototxt:4:51: 'kernel_size' takes a whole number from 0 on, found '-1'\n"
      "a.prototxt:4:62: unknown value 'FAST' of 'engine'; valid are DEFAULT, CAFFE, CUDNN\n"
      "a.prototxt:4:72: 'pad' takes a whole number, found '1.5'\n"
      "a.prototxt:5:16: 'bias_term' takes true or false, found 'yes'\n"
      "a.prototxt:5:42: unknown value 'mrsa' of 'type'; did you mean 'msra'? Valid are constant, "
      "gaussian, uniform, xavier, msra\n"
      "a.prototxt:5:54: 'std' takes a number, found the string \"x\"\n"
      "a.prototxt:8:19: field 'name' stands here for the second time (first on line 8): keep one\n"
      "a.prototxt:8:51: value 'STOCHASTIC' of 'pool' is not supported: only MAX and AVE are "
      "supported\n"
      "a.prototxt:8:64: field 'lrn_param' is not supported: Caffe's layer type 'LRN' is not "
      "supported";
  EXPECT_EQ(net_error(text), expected);

  // The rest of the net is there, so that the graph can report its own errors beside these.
  const NetSource source = parse_net_source(text, "a.prototxt");
  EXPECT_EQ(source.problems.size(), 12u);
  ASSERT_EQ(source.net.layer_size(), 2);
  EXPECT_EQ(source.net.layer(0).top(0), "t");
  EXPECT_FALSE(source.net.layer(0).has_type());
  EXPECT_EQ(source.net.layer(1).name(), "p");
}

TEST(Prototxt, SeparatorsOfBadFieldsDisappearWithThem) {
  const NetSource source =
      parse_net_source("name: \"n\", foo: 1; layer { bar: [1, {}], name: \"x\" }");
  EXPECT_EQ(source.problems.size(), 2u);
  EXPECT_EQ(source.net.layer(0).name(), "x");
}

TEST(Prototxt, SyntaxErrorsPointAtTheCulprit) {
  EXPECT_EQ(net_error("layer {\n  name\n  type: \"X\"\n}"),
            "a.prototxt:2:3: field 'name' has no value: write name: value");
  EXPECT_EQ(net_error("layer {\n  name \"x\"\n}"), "a.prototxt:2:3: a ':' is missing after 'name'");
  EXPECT_EQ(net_error("layer {\n  convolution_param {\n    pad:\n    stride: 2\n  }\n}"),
            "a.prototxt:3:5: field 'pad' has no value: write pad: value");
  EXPECT_EQ(net_error("layer {\n  name: \"x\n  type: \"Y\"\n}"),
            "a.prototxt:2:9: this string has no closing quote on its line: add it");
  EXPECT_EQ(net_error("layer {\n  name: \"x\"\n"),
            "a.prototxt:1:7: this '{' is never closed: add the missing '}'");
  EXPECT_EQ(net_error("layer {\n  name: \"x\"\n\nlayer { name: \"y\" foo: 1 }\n"),
            "a.prototxt:4:1: 'layer' inside of 'LayerParameter': a '}' is missing before it\n"
            "a.prototxt:4:19: unknown field 'foo' in LayerParameter; did you mean 'top'?");
  EXPECT_EQ(net_error("layer { name: \"x\" } }"),
            "a.prototxt:1:21: this '}' closes nothing: remove it");
  EXPECT_EQ(net_error("layer { name: \"x\" >"), "a.prototxt:1:19: expected '}' but found '>'");
  EXPECT_EQ(net_error("layer \"x\""), "a.prototxt:1:1: 'layer' is a group: write layer { ... }");
  EXPECT_EQ(net_error("name { a: 1 }"),
            "a.prototxt:1:1: 'name' is one value, not a group: write name: value");
  EXPECT_EQ(net_error("layer { convolution_param { pad: 1 1 } }"),
            "a.prototxt:1:36: unexpected '1' after '1': a field is written name: value");
  EXPECT_EQ(net_error("layer {\n\tname: = }"),
            "a.prototxt:2:15: expected a value of 'name', found '='");
  EXPECT_EQ(net_error("[a.b]: 1"),
            "a.prototxt:1:1: extension fields are not supported: remove this one");
  EXPECT_EQ(
      net_error("name: \"a\\q\""),
      "a.prototxt:1:7: this is not valid prototxt: Invalid escape sequence in string literal.");
}

TEST(Prototxt, AMisplacedFieldIsSentToItsGroup) {
  EXPECT_EQ(net_error("layer { convolution_param { num_output: 3 bottom: \"x\" } }"),
            "a.prototxt:1:43: unknown field 'bottom' in ConvolutionParameter; it belongs to the "
            "enclosing LayerParameter: move it there, or add the '}' that is missing before it");
}

TEST(Prototxt, CaffeFieldsThatAreNotSupportedAreRefusedByName) {
  EXPECT_NE(net_error("layers { type: CONVOLUTION }").find("old layer format (V1)"),
            std::string::npos);
  EXPECT_NE(
      net_error("layer { data_param { backend: LEVELDB } }").find("convert the database to LMDB"),
      std::string::npos);
  EXPECT_NE(
      net_error("layer { data_param { rand_skip: 5 } }").find("a.prototxt:1:22: field 'rand_skip'"),
      std::string::npos);
  EXPECT_NE(net_error("layer { blobs { data: 1 } }").find("weights belong to a .caffemodel"),
            std::string::npos);
  EXPECT_NE(net_error("file_checksum: 5").find("'file_checksum' is not supported"),
            std::string::npos);
  EXPECT_NE(solver_error("momentum2: 0.9").find("s.prototxt:1:1: field 'momentum2'"),
            std::string::npos);
  EXPECT_NE(solver_error("snapshot_format: HDF5").find("only BINARYPROTO"), std::string::npos);
  EXPECT_NE(solver_error("solver_type: ADAM").find("only SGD and Nesterov"), std::string::npos);
  EXPECT_EQ(solver_error("type: \"Adam\""),
            "s.prototxt:1:7: unknown value 'Adam' of 'type'; valid are SGD, Nesterov");
  EXPECT_EQ(solver_error("lr_policy: \"plateu\"").substr(0, 76),
            "s.prototxt:1:12: unknown value 'plateu' of 'lr_policy'; did you mean 'platea");
}

TEST(Prototxt, IntegersHaveTheRangeOfTheirField) {
  EXPECT_NE(solver_error("max_iter: 2147483648").find("up to 2147483647"), std::string::npos);
  EXPECT_EQ(parse_solver_prototxt("max_iter: -2147483648").max_iter(), INT32_MIN);
  EXPECT_NE(net_error("input_dim: 99999999999999999999999").find("whole number"),
            std::string::npos);
  EXPECT_FLOAT_EQ(parse_solver_prototxt("base_lr: 1e-1f momentum: 1").base_lr(), 0.1f);
}

TEST(Prototxt, LegacySolverTypeBecomesType) {
  EXPECT_EQ(parse_solver_prototxt("solver_type: NESTEROV").type(), "Nesterov");
  EXPECT_EQ(parse_solver_prototxt("solver_type: 0").type(), "SGD");
  EXPECT_FALSE(parse_solver_prototxt("solver_type: SGD").has_solver_type());
}

TEST(Prototxt, AcceptedFieldsAreLoggedOnce) {
  struct Sink : google::LogSink {
    void send(google::LogSeverity, const char*, const char*, int, const google::LogMessageTime&,
              const char* message, size_t length) override {
      lines.emplace_back(message, length);
    }
    std::vector<std::string> lines;
  } sink;
  google::AddLogSink(&sink);
  const std::string text = "max_iter: 1\nlayer_wise_reduce: true\n";
  parse_solver_prototxt(text, "s.prototxt");
  parse_solver_prototxt(text, "t.prototxt");
  google::RemoveLogSink(&sink);
  ASSERT_EQ(sink.lines.size(), 1u);
  EXPECT_EQ(sink.lines[0],
            "s.prototxt:2: SolverParameter.layer_wise_reduce is accepted without effect: it "
            "concerns speed only");
}

TEST(Prototxt, OwnFieldsAreRead) {
  const SolverParameter s = parse_solver_prototxt(
      "lr_policy: \"plateau\" plateau_on: TEST warmup_lr: 0.01 math: BFLOAT16 keep_snapshots: 3");
  EXPECT_EQ(s.plateau_on(), TEST);
  EXPECT_EQ(s.math(), SolverParameter::BFLOAT16);
  EXPECT_FLOAT_EQ(s.warmup_error(), 0.8f);
  const NetParameter n = parse_net_prototxt(
      "layer { data_param { backend: CIFAR10 shuffle: true record_end: 45000 } "
      "transform_param { pad: 4 } batch_norm_param { group_size: 32 } "
      "loss_param { label_smoothing: 0.1 } identity_shortcut_param { stride: 2 num_output: 32 } }");
  EXPECT_EQ(n.layer(0).data_param().backend(), DataParameter::CIFAR10);
}

TEST(Prototxt, ForeignFilesAreRefused) {
  const ScratchDirectory dir;
  EXPECT_NE(
      error_of<ConfigError>([&] { read_net_prototxt(dir / "none.prototxt"); }).find("No such file"),
      std::string::npos);
  EXPECT_NE(error_of<ConfigError>([&] { read_net_prototxt(dir.path()); }).find("directory"),
            std::string::npos);
  testing::write_text(dir / "w.caffemodel", std::string("\x0a\x03net\0\0", 7));
  EXPECT_NE(error_of<ConfigError>([&] {
              read_net_prototxt(dir / "w.caffemodel");
            }).find("binary file, not a prototxt"),
            std::string::npos);
  EXPECT_EQ(parse_net_prototxt("").layer_size(), 0);
}

TEST(Prototxt, DeepNestingIsAnErrorAndNotACrash) {
  std::string text;
  for (int i = 0; i < 200000; ++i) text += "net_param { ";
  EXPECT_NE(solver_error(text), "");
  text.clear();
  for (int i = 0; i < 200000; ++i) text += "foo { ";
  EXPECT_NE(solver_error(text), "");
  text = "foo: ";
  for (int i = 0; i < 200000; ++i) text += "[";
  EXPECT_NE(solver_error(text), "");
}

// Damaged real text must give a ConfigError or a message, and nothing else.
TEST(Prototxt, DamagedTextNeverCrashes) {
  const std::string text =
      "name: \"n\"\ninput: \"data\" input_dim: [1, 3, 8, 8]\nlayer { name: \"c\" type: "
      "\"Convolution\" "
      "bottom: 'data' top: \"c\" param { lr_mult: 1e0 } convolution_param { num_output: 4 pad: 0x1 "
      "weight_filler < type: \"msra\" > } include { phase: TRAIN } }  # end\n";
  std::mt19937 random(7);
  const std::string alphabet = "{}<>[]:;,\"'#\\\n\t -0x9.eE_aZ\x80\xff";
  struct Ignore : google::protobuf::io::ErrorCollector {
    void AddError(int, int, const std::string&) override {}
  } ignore;
  int good = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string t = text;
    for (unsigned k = 1 + random() % 3; k > 0; --k) {
      const size_t at = random() % t.size();
      switch (random() % 3) {
        case 0:
          t[at] = alphabet[random() % alphabet.size()];
          break;
        case 1:
          t.erase(at, random() % 9);
          break;
        default:
          t.insert(at, 1, alphabet[random() % alphabet.size()]);
          break;
      }
    }
    const text::Report report = text::check_text(t, *NetParameter::descriptor());
    NetParameter net;
    google::protobuf::TextFormat::Parser parser;
    parser.RecordErrorsTo(&ignore);
    const bool parses = parser.ParseFromString(t, &net);
    ASSERT_TRUE(parses || !report.problems.empty()) << t;  // nothing bad gets through the checker
    try {
      parse_net_source(t);
      ++good;
    } catch (const ConfigError& e) {
      ASSERT_NE(std::string(e.what()).find("<text>"), std::string::npos) << e.what();
    }
  }
  EXPECT_GT(good, 1000);
  EXPECT_LT(good, 19000);
}

TEST(Prototxt, FormattedTextParsesBack) {
  const NetParameter net = parse_net_prototxt(
      "name: \"a \\\"quoted\\\" name\" state { phase: TRAIN stage: \"s\" } layer { name: \"c\" "
      "type: \"Convolution\" param { lr_mult: 1 decay_mult: 0 } convolution_param { num_output: 16 "
      "kernel_size: 3 bias_term: false weight_filler { type: \"msra\" } } } layer { name: \"p\" "
      "pooling_param { pool: AVE global_pooling: true } include { phase: TEST } loss_weight: 1e-05 "
      "}");
  const std::string text = format_prototxt(net);
  EXPECT_EQ(text,
            "name: \"a \\\"quoted\\\" name\"\n"
            "state { phase: TRAIN stage: \"s\" }\n"
            "layer {\n"
            "  name: \"c\"\n"
            "  type: \"Convolution\"\n"
            "  param { lr_mult: 1 decay_mult: 0 }\n"
            "  convolution_param {\n"
            "    num_output: 16\n"
            "    bias_term: false\n"
            "    kernel_size: 3\n"
            "    weight_filler { type: \"msra\" }\n"
            "  }\n"
            "}\n"
            "layer {\n"
            "  name: \"p\"\n"
            "  loss_weight: 1e-05\n"
            "  include { phase: TEST }\n"
            "  pooling_param { pool: AVE global_pooling: true }\n"
            "}\n");
  EXPECT_EQ(format_prototxt(parse_net_prototxt(text)), text);

  const ScratchDirectory dir;
  write_prototxt(dir / "n.prototxt", net, "first\nsecond");
  EXPECT_EQ(read_file(dir / "n.prototxt"), "# first\n# second\n" + text);
  EXPECT_EQ(format_prototxt(read_net_prototxt(dir / "n.prototxt")), text);
}

TEST(Prototxt, ReadsFilesThatCaffeRan) {
  const std::string dir = shared_dir() + "/caffe/";
  RESNET_NEEDS_FILE(dir + "train/net.prototxt");
  const SolverParameter solver = read_solver_prototxt(dir + "train/solver.prototxt");
  EXPECT_EQ(solver.lr_policy(), "multistep");
  EXPECT_GT(read_net_prototxt(dir + "train/net.prototxt").layer_size(), 5);
  EXPECT_GT(read_net_prototxt(dir + "ops/ops.prototxt").layer_size(), 50);
  const NetParameter tiny = read_net_prototxt(dir + "forward_tiny64/tiny_bottleneck_64.prototxt");
  EXPECT_EQ(tiny.input_dim_size(), 4);
}

}  // namespace
}  // namespace resnet
