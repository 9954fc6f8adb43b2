"""Validates JSON lines: check_log_schema.py SCHEMA LOG.. exits 1 and says what is wrong, and where."""
import json
import sys

import jsonschema

with open(sys.argv[1]) as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
bad = 0
for path in sys.argv[2:]:
    with open(path) as lines:
        for number, line in enumerate(lines, 1):
            for error in validator.iter_errors(json.loads(line)):
                print(f"{path}:{number}: {error.message}")
                bad = 1
sys.exit(bad)
