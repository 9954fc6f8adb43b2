// Nets as text, as far as a validated graph, and back to text.
#include "fuzz/fuzz.h"
#include "resnet/base/error.h"
#include "resnet/graph/graph.h"
#include "resnet/io/prototxt.h"

RESNET_FUZZ_TARGET(net_prototxt) {
  using namespace resnet;
  const NetSource source = parse_net_source(input);
  if (source.problems.empty()) {
    const NetParameter again = parse_net_prototxt(format_prototxt(source.net));
    fuzz::require(format_prototxt(again) == format_prototxt(source.net),
                  "the text of a net reads back as the same net");
  }
  // What Data layers of the usual names give.
  GraphOptions options{.input_shapes = {{"data", {2, 3, 8, 8}}, {"label", {2}}},
                       .locate = [&](int layer) { return source.where(layer); }};
  int refused = 0;
  for (const Phase phase : {TRAIN, TEST}) {
    options.phase = phase;
    try {
      validate(build_graph(source.net, options));
    } catch (const ConfigError&) {
      ++refused;
    }
  }
  if (!source.problems.empty() || refused == 2) throw ConfigError("refused");
}
