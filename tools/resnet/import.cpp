// `resnet import`: weights of other programs.
#include <array>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "class_names.h"
#include "cli.h"
#include "flags.h"
#include "import_net.h"
#include "net_file.h"
#include "numeric_check.h"
#include "resnet/base/json.h"
#include "resnet/exchange/npz.h"
#include "resnet/exchange/safetensors.h"
#include "resnet/exchange/state_dict.h"
#include "resnet/io/files.h"
#include "setup.h"

DECLARE_bool(raw);
DECLARE_string(family);
DECLARE_int32(depth);
DEFINE_string(
    input_mean, "0.485,0.456,0.406",
    "R,G,B: the mean that was subtracted from the input of the file's net, colours from 0 to 1");
DEFINE_string(input_std, "0.229,0.224,0.225", "R,G,B: the deviation that it was divided by then");

namespace resnet::cli {
namespace {

constexpr double kBound = 1e-4;  // of the largest output
constexpr const char* kSuffix = ".caffemodel";

std::array<double, 3> three_numbers(const char* flag, const std::string& text) {
  std::array<double, 3> values{};
  const std::vector<std::string> parts = split_list(text);
  bool good = parts.size() == values.size();
  for (size_t i = 0; good && i < values.size(); ++i) {
    char* end = nullptr;
    values[i] = std::strtod(parts[i].c_str(), &end);
    good = !parts[i].empty() && *end == '\0' && values[i] >= 0 && values[i] <= 255;
  }
  if (!good) throw ConfigError(std::string("--") + flag + " takes R,G,B, not '" + text + "'");
  return values;
}

ImportOptions import_options() {
  ImportOptions options;
  options.fold_input = !FLAGS_raw;
  options.reorder = !FLAGS_raw;
  options.input.mean = three_numbers("input_mean", FLAGS_input_mean);
  options.input.std = three_numbers("input_std", FLAGS_input_std);
  for (const double std : options.input.std) {
    if (std <= 0) throw ConfigError("--input_std takes numbers above 0");
  }
  return options;
}

TensorFile read_tensors(const std::string& path) {
  if (path.ends_with(".npz")) return read_npz(path);
  if (path.ends_with(".safetensors")) return read_safetensors(path);
  throw ConfigError(path +
                    ": import reads .safetensors and .npz files; a .caffemodel needs no import, "
                    "and PyTorch's .pth are saved as safetensors by safetensors.torch.save_file()");
}

// Where the net is, and where the weights go.
struct Target {
  std::string model, weights;
  bool written = false;  // the net is ours to write
};

Target choose_target(const TensorFile& file) {
  const bool names_file = FLAGS_output.ends_with(kSuffix);
  Target target;
  target.weights = FLAGS_output;
  if (!FLAGS_model.empty()) {
    if (given("depth") || given("family")) {
      throw ConfigError("give the net by --model, or let --family and --depth say it, not both");
    }
    target.model = FLAGS_model;
    if (!names_file) {
      target.weights += "/" + std::filesystem::path(file.path).stem().string() + kSuffix;
    }
    prepare_directory_of(target.weights);
    return target;
  }
  const ImportedNet net = net_of_names(file);
  if (!names_file) target.weights += "/" + net.name + kSuffix;
  prepare_directory_of(target.weights);
  target.model = directory_of(target.weights) + "/deploy.prototxt";
  target.written = true;
  write_file_atomic(target.model, {net.deploy});
  return target;
}

void add_class_names(std::optional<Preprocessing>* preprocessing) {
  const ClassNames names({});  // those of --labels
  if (names.size() == 0) return;
  if (!*preprocessing) preprocessing->emplace();
  (*preprocessing)->clear_class_name();
  for (int64_t label = 0; label < names.size(); ++label) {
    (*preprocessing)->add_class_name(names.of(label));
  }
}

// What the checks found.
struct Checked {
  std::string check = "read back and run on random input";
  double largest_difference = 0, bound = 0;
};

// Nets of one file, which are compared on the same random input.
class Check {
 public:
  Check(const NetFile& file, std::shared_ptr<Backend> backend, Net& net)
      : file_(file),
        backend_(std::move(backend)),
        blobs_(compared_blobs(file)),
        input_(random_input(net)),
        values_(run_net(net, input_, blobs_)) {}

  // The net's outputs against those with other weights and maybe other input.
  Difference against(const WeightSet& weights, const Values* input = nullptr) const {
    const std::unique_ptr<Net> other = build_net(file_, backend_, TEST, data_shapes(file_, TEST));
    other->initialize(1);
    load_weights(*other, weights);
    return difference_of(values_, run_net(*other, input != nullptr ? *input : input_, blobs_));
  }
  const Values& input() const { return input_; }

 private:
  const NetFile& file_;
  std::shared_ptr<Backend> backend_;
  std::vector<std::string> blobs_;
  Values input_, values_;
};

[[noreturn]] void refuse(const std::string& path, const std::string& check, double difference,
                         double bound) {
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  throw InternalError(path + ": removed, since it computes other values: " + check +
                      ", largest difference " + Json(difference).str() + ", allowed " +
                      Json(bound).str());
}

// The file read back gives the same bits; a net whose input was folded into it agrees with the one that is
// fed as the file wants it.
Checked check(const Check& check, const std::string& path, const TensorFile& file,
              ImportOptions options, NetParameter weighted, const ImportReport& report) {
  Checked result;
  const Difference copy = check.against(read_caffemodel(path));
  if (copy.largest > 0) refuse(path, result.check, copy.largest, 0);
  if (!report.folded) return result;
  options.fold_input = false;
  import_tensors(file, options, &weighted);
  const Values input = as_torchvision(check.input(), report.folded->std);
  const Difference unfolded = check.against(weights_of(weighted), &input);
  result.check += "; run beside the weights as they came, on the same input normalised";
  result.largest_difference = unfolded.largest;
  result.bound = kBound * unfolded.largest_value;
  if (!(result.largest_difference <= result.bound)) {
    refuse(path, result.check, result.largest_difference, result.bound);
  }
  return result;
}

Json list(const std::vector<std::string>& items) {
  Json array = Json::array();
  for (const std::string& item : items) array.push(item);
  return array;
}

void print(const Target& target, const ImportReport& report, const Checked& checked) {
  if (FLAGS_json) {
    std::cout << Json()
                     .set("output", target.weights)
                     .set("model", target.model)
                     .set("matched", report.matched)
                     .set("missing", list(report.missing))
                     .set("mismatched", list(report.mismatched))
                     .set("unused", list(report.unused))
                     .set("notes", list(report.notes))
                     .set("check", checked.check)
                     .set("largest_difference", checked.largest_difference)
                     .set("bound", checked.bound)
                     .str()
              << '\n';
    return;
  }
  if (target.written) std::cout << target.model << '\n';
  std::cout << target.weights << ": " << report.str() << '\n';
  for (const std::string& note : report.notes) std::cout << "note: " << note << '\n';
  std::cout << "check: " << checked.check << ": largest difference "
            << Json(checked.largest_difference).str() << " (allowed " << Json(checked.bound).str()
            << ")\n";
}

ExitCode run(const Operands& operands) {
  if (operands.size() != 1) throw ConfigError("import takes one FILE");
  require_full_precision();
  ImportOptions options = import_options();
  const TensorFile tensors = read_tensors(operands[0]);
  const Target target = choose_target(tensors);
  const NetFile file = read_net_file(TEST, target.model);
  options.graph = file.graph_options(TEST);
  const std::shared_ptr<Backend> backend = open_backend();
  const std::unique_ptr<Net> net = build_net(file, backend, TEST, data_shapes(file, TEST));
  net->initialize(1);

  NetParameter weighted = with_weights(*net, std::nullopt);
  ImportReport report = import_tensors(tensors, options, &weighted);
  if (!report.complete() && !FLAGS_allow_missing) {
    std::error_code ignored;
    if (target.written) std::filesystem::remove(target.model, ignored);
    throw DataError(tensors.path + ": does not fit the net: " + report.str() +
                    (report.notes.empty() ? "" : "; " + report.notes.front()) +
                    "; --allow_missing accepts it");
  }
  const NetParameter bare = weighted;
  add_class_names(&report.preprocessing);
  if (report.preprocessing) *weighted.mutable_preprocessing() = *report.preprocessing;
  load_weights(*net, weights_of(weighted));
  write_caffemodel(target.weights, weighted, 0);
  const Checked checked =
      check(Check(file, backend, *net), target.weights, tensors, options, bare, report);
  print(target, report, checked);
  return ExitCode::ok;
}

}  // namespace

extern const Command kImport = {
    .name = "import",
    .summary = "Make a weight file of weights that other programs trained, and check it",
    .operands = "FILE",
    .computes = true,
    .flags = {required(
                  "output",
                  "DIR|FILE: where to write, with deploy.prototxt unless --model names the net"),
              {"model", "FILE: the net (default: written as the names in the file want it)"},
              {"family", "cifar|imagenet: refuse files of other nets"},
              {"depth", "N: refuse files of nets with another number of weighted layers"},
              {"raw", "keep weights as they are, for input as the file's net was fed"},
              {"input_mean"},
              {"input_std"},
              {"labels", "FILE: names of the classes, one a line"},
              {"input_shape"},
              {"stage"},
              {"level"},
              {"allow_missing",
               "keep initial values where the file has none that fit; leave out "
               "tensors that the net has not"},
              {"json"}},
    .examples =
        "resnet import resnet50.safetensors --output=resnet50 --labels=synset_words.txt\n"
        "resnet import weights.npz --model=deploy.prototxt --output=net.caffemodel",
    .run = run,
};

}  // namespace resnet::cli
