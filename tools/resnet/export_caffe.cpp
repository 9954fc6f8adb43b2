// Format `caffe` of `resnet export`: weights and net as BVLC Caffe reads them, with the mean image and the
// names of the classes as its classification programs do; with --snapshot also what training goes on from.
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string_view>

#include "export.h"
#include "export_net.h"
#include "flags.h"
#include "resnet/base/error.h"
#include "resnet/exchange/caffe.h"
#include "resnet/exchange/model_file.h"
#include "resnet/io/files.h"
#include "resnet/io/mean_file.h"
#include "resnet/io/prototxt.h"
#include "resnet/io/snapshot.h"

DECLARE_string(mean);
DECLARE_string(snapshot);

namespace resnet::cli {
namespace {

// The output's path without its suffix, for the files beside it.
std::string stem_of(const std::string& output) {
  const std::string suffix = ".caffemodel";
  return output.ends_with(suffix) ? output.substr(0, output.size() - suffix.size()) : output;
}

constexpr std::string_view kFirstLine = "# Written by: resnet export --format=caffe\n";

// Throws ConfigError for a file that somebody else wrote, or that the command reads.
void require_free(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return;
  for (const std::string& read :
       {FLAGS_model, FLAGS_solver, FLAGS_weights, FLAGS_snapshot, FLAGS_labels, FLAGS_mean}) {
    if (!read.empty() && fs::equivalent(path, read, ignored)) {
      throw ConfigError(path +
                        ": would be replaced, but the command reads it; choose another --output");
    }
  }
  if (path.ends_with(".prototxt") && !read_file(path).starts_with(kFirstLine)) {
    throw ConfigError(path + ": is there and was not written by export; choose another --output");
  }
}

// Writes files beside the weights, and keeps what is to be said about them.
class Sidecars {
 public:
  explicit Sidecars(const std::string& output) : stem_(stem_of(output)) {
    require_free(output);
    for (const char* end : {"_deploy.prototxt", "_train_val.prototxt", "_solver.prototxt",
                            "_labels.txt", "_mean.binaryproto"}) {
      require_free(stem_ + end);
    }
  }

  std::string write_prototxt(const std::string& end, const std::string& text,
                             const std::string& what) {
    return write_text(end, std::string(kFirstLine) + text, what);
  }
  std::string write_text(const std::string& end, const std::string& text, const std::string& what) {
    write_file_atomic(stem_ + end, {text});
    notes.push_back(stem_ + end + ": " + what);
    return stem_ + end;
  }

  // The mean as an image of the input's size or, where there is one, its own.
  void write_mean_of(const Preprocessing& preprocessing, const Shape& image) {
    MeanImage mean;
    if (preprocessing.has_mean()) {
      mean.shape = blob_shape(preprocessing.mean(), "mean");
      mean.values = blob_values(preprocessing.mean(), "mean");
    } else if (preprocessing.mean_value_size() > 0) {
      mean.shape = image;
      for (int64_t i = 0; i < image.count(); ++i) {
        const auto channel = static_cast<int>(i / (image[1] * image[2]));
        mean.values.push_back(
            preprocessing.mean_value(preprocessing.mean_value_size() == 1 ? 0 : channel));
      }
    } else {
      return;
    }
    write_mean(stem_ + "_mean.binaryproto", mean);
    notes.push_back(stem_ + "_mean.binaryproto: the mean image");
  }

  const std::string& stem() const { return stem_; }
  std::vector<std::string> notes;

 private:
  std::string stem_;
};

void write_preprocessing(const Preprocessing& preprocessing, const Shape& image, Sidecars* files) {
  files->write_mean_of(preprocessing, image);
  std::string labels;
  for (const std::string& name : preprocessing.class_name()) labels += name + "\n";
  if (!labels.empty()) files->write_text("_labels.txt", labels, "the names of the classes");
  if (preprocessing.scale() != 1) {
    char scale[32];
    std::snprintf(scale, sizeof scale, "%g", static_cast<double>(preprocessing.scale()));
    files->notes.push_back("images are multiplied by " + std::string(scale) +
                           " after the mean, which Caffe's classification example does not do");
  }
}

// The snapshot as Caffe resumes from it, with the solver if the command names it.
struct TrainingFiles {
  SnapshotPaths paths;
  NetParameter net;
  SolverState state;
  std::optional<SolverParameter> solver;
};

// Files name each other by their paths from here: Caffe seeks them in its working directory.
TrainingFiles training_files(const std::string& stem) {
  const LoadedState loaded = read_solverstate(FLAGS_snapshot);
  NetParameter own;
  const std::string bytes = read_file(loaded.model_path);
  if (!own.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    throw DataError(loaded.model_path + ": its net cannot be read");
  }
  TrainingFiles files;
  files.paths = snapshot_paths(stem, loaded.state.iter());
  require_free(files.paths.state);
  require_free(files.paths.model);
  files.net = to_caffe(own);
  files.state = to_caffe(loaded.state, own, files.paths.model);
  if (FLAGS_solver.empty()) return files;
  SolverParameter solver = read_solver_prototxt(FLAGS_solver);
  solver.clear_train_net();
  solver.clear_test_net();
  solver.clear_net_param();
  solver.clear_train_net_param();
  solver.clear_test_net_param();
  solver.set_net(stem + "_train_val.prototxt");
  files.solver = to_caffe(solver);
  return files;
}

void write(const TrainingFiles& training, Sidecars* files) {
  write_caffe(training.paths.model, training.net);
  write_caffe(training.paths.state, training.state);
  files->notes.push_back(training.paths.state + ": the snapshot, with " + training.paths.model);
  files->write_prototxt("_train_val.prototxt", caffe_prototxt(training.net),
                        "the net for training");
  if (!training.solver) return;
  files->write_prototxt("_solver.prototxt", format_prototxt(*training.solver), "the solver");
}

ExportResult write(const ExportJob& job) {
  // All that may be refused comes before the first file.
  const NetParameter own = deploy_net(job.weighted, exported_image(job));
  const NetParameter caffe = to_caffe(own);
  Sidecars files(job.output);
  std::optional<TrainingFiles> training;
  if (!FLAGS_snapshot.empty()) training = training_files(files.stem());

  write_caffe(job.output, caffe);
  const std::string net =
      files.write_prototxt("_deploy.prototxt", caffe_prototxt(caffe), "the net for use");
  if (job.preprocessing) write_preprocessing(*job.preprocessing, image_shape_of(own), &files);
  if (training) write(*training, &files);
  ExportResult result =
      compare_scores(job, read_net_prototxt(net), read_caffemodel(job.output), 1e-5);
  result.notes = files.notes;
  return result;
}

}  // namespace

extern const ExportFormat kExportCaffe = {
    .name = "caffe",
    .suffix = "",
    .doc = "weights, net, mean and labels without anything of our own",
    .write = write};

}  // namespace resnet::cli
