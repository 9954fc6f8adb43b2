// Format `model` of `resnet export`: one file with net, weights, preprocessing, class names and what is known
// of the training.
#include "export.h"
#include "export_net.h"
#include "flags.h"
#include "resnet/exchange/model_file.h"

namespace resnet::cli {
namespace {

ExportResult write(const ExportJob& job) {
  const NetParameter net = deploy_net(job.weighted, exported_image(job));
  write_model_file(job.output, net, job.preprocessing.value_or(Preprocessing()),
                   read_caffemodel(FLAGS_weights).training.value_or(TrainingRecord()), job.run_id);
  const ModelFile model = read_model_file(job.output);
  ExportResult result = compare_scores(job, model.net, model.weights, 1e-6);
  if (!job.preprocessing) {
    result.notes.emplace_back(
        "nothing says how images are prepared: they will be scaled to the net's input, without a "
        "mean (--mean, --scale, --resize)");
  }
  if (model.labels.empty()) result.notes.emplace_back("the classes have no names (--labels)");
  return result;
}

}  // namespace

extern const ExportFormat kExportModel = {
    .name = "model", .suffix = "", .doc = "all that predict needs, in one file", .write = write};

}  // namespace resnet::cli
