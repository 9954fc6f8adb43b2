"""Checks ONNX models by ONNX's own software.

usage: onnx_check.py LIST
       onnx_check.py --last-opset      prints the newest operator set that all packages know

Each line of LIST is tab-separated: MODEL INPUT DIMS OUTPUT EXPECTED. INPUT and EXPECTED are files of float32
values: what the model's first input of shape DIMS (as 1,3,8,8) gets, and what OUTPUT must become. Further
inputs get the same values. Prints a line for each: the largest difference as a share of the largest
value, then OUTPUT's shape as shape inference found it. A model that is not valid ends with an exception.
"""
import sys

import numpy as np
import onnx
import onnxruntime



def last_opset():
    for version in range(onnx.defs.onnx_opset_version(), 0, -1):
        x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy")
        graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
        opset = onnx.helper.make_opsetid("", version)
        model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
        try:
            onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            return version
        except Exception:  # newer than onnxruntime
            continue
    return 0


if sys.argv[1] == "--last-opset":
    print(last_opset())
    sys.exit()

checked = {}


def check(path):
    """Full check, and the shapes that inference finds without those that the file states."""
    if path in checked:
        return checked[path]
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    shapes = {
        output.name: ",".join(
            str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?"
            for dim in output.type.tensor_type.shape.dim
        )
        for output in inferred.graph.output
    }
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    checked.clear()  # one large model at a time
    checked[path] = shapes, session
    return checked[path]


for line in open(sys.argv[1]):
    path, source, dims, output, target = line.rstrip("\n").split("\t")
    shapes, session = check(path)
    value = np.fromfile(source, np.float32).reshape([int(dim) for dim in dims.split(",")])
    feed = {entry.name: value for entry in session.get_inputs()}
    result = session.run([output], feed)[0]
    expected = np.fromfile(target, np.float32)
    difference = np.abs(result.ravel() - expected).max() / np.abs(expected).max()
    print(f"{difference:.3g} {shapes[output]}")
