"""Prints what TensorBoard's readers find in a folder of event files, as one JSON object in the last line.

usage: read_events.py FOLDER
"accumulator" and "plugin": {tag: [[step, value], ..]} of the scalars, by the two readers that TensorBoard has;
"histograms": {tag: count of values in the last one}.
"""
import json
import sys

from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator
from tensorboard.util import tensor_util

folder = sys.argv[1]
everything = {name: 0 for name in event_accumulator.DEFAULT_SIZE_GUIDANCE}

events = event_accumulator.EventAccumulator(folder, size_guidance=everything).Reload()
scalars = {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
histograms = {tag: events.Histograms(tag)[-1].histogram_value.num for tag in events.Tags()["histograms"]}

plugin = plugin_event_accumulator.EventAccumulator(folder, size_guidance={"tensors": 0}).Reload()
tensors = {}
for tag in plugin.Tags()["tensors"]:
    if plugin.SummaryMetadata(tag).plugin_data.plugin_name == "scalars":
        tensors[tag] = [[e.step, float(tensor_util.make_ndarray(e.tensor_proto))] for e in plugin.Tensors(tag)]

print()
print(json.dumps({"accumulator": scalars, "plugin": tensors, "histograms": histograms}))
