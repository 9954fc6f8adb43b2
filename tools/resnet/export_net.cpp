#include "export_net.h"

#include "numeric_check.h"
#include "resnet/eval/evaluate.h"

namespace resnet::cli {

Shape exported_image(const ExportJob& job) {
  for (const auto& [blob, shape] : job.shapes) {
    if (shape.rank() == 4) return {shape[1], shape[2], shape[3]};
  }
  return {};
}

ExportResult compare_scores(const ExportJob& job, const NetParameter& net, const WeightSet& weights,
                            double relative) {
  const std::vector<std::string> scores = {score_blob(job.file.net, job.file.graph_options(TEST))};
  const Values input = random_input(job.net);
  NetFile file;
  file.net = net;
  for (LayerParameter& layer :
       *file.net.mutable_layer()) {  // as many images as the job's net takes
    if (layer.type() != "Input") continue;
    layer.mutable_input_param()->mutable_shape(0)->set_dim(0, input.at(layer.top(0)).shape[0]);
  }
  file.options.plan = job.file.options.plan;
  const std::unique_ptr<Net> other = build_net(file, job.backend, TEST, {});
  load_weights(*other, weights);
  const Difference difference =
      difference_of(run_net(job.net, input, scores), run_net(*other, input, scores));
  ExportResult result;
  result.check = "read back, net and weights, and run on random input";
  result.largest_difference = difference.largest;
  result.bound = relative * difference.largest_value;
  return result;
}

}  // namespace resnet::cli
