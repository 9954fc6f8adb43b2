"""Runs parse_log() of Caffe's tools/extra/parse_log.py on a log; prints both tables as JSON in the last line.

usage: run_parse_log.py FOLDER LOG
FOLDER holds parse_log.py and extract_seconds.py. They are for Python 2: statements `print ..` become calls.
"""
import json
import pathlib
import re
import sys

folder, log = sys.argv[1:]
sys.path.insert(0, folder)
source = pathlib.Path(folder, "parse_log.py").read_text()
source = re.sub(r"^( *)print ([^(\n].*)$", r"\1print(\2)", source, flags=re.MULTILINE)
module = {"__name__": "parse_log"}
exec(compile(source, "parse_log.py", "exec"), module)
train, test = module["parse_log"](log)
print()
print(json.dumps({"train": train, "test": test}))
