// Figures of training runs: error, loss and learning rate over the iterations.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "chart.h"
#include "run_log.h"

namespace resnet::cli {

enum class Quantity { error, loss, rate };

struct RunFigureOptions {
  std::vector<Quantity> what;       // a panel each
  std::vector<std::string> labels;  // of the runs
  std::string title;
  bool logarithmic = false;
  std::optional<Range> x_range = {}, y_range = {};
  int smooth = 1;                    // training values: mean over this many logged ones
  double width = 252, height = 190;  // points
};

// Training values as thin dashed lines, test values as bold ones, in the manner of the paper's figures 4
// and 6. Several runs differ in colour and marks. Adds to `notes` what could not be drawn. Throws DataError
// when there is nothing to draw.
Figure draw_runs(const std::vector<RunLog>& runs, const RunFigureOptions& options,
                 std::vector<std::string>* notes);

// The picture of one run, with what was trained, its results and its learning rates: reads its log, writes
// a .png or .svg. Throws DataError.
void draw_overview(const std::string& log, const std::string& output);

}  // namespace resnet::cli
